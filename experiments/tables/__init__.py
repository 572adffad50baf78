"""The paper's tables and figure: what is published, what is run, side by side."""
