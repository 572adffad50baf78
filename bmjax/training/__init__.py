"""The train step, the optimizer and saved states: pure functions, no configuration."""
