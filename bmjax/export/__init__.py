"""A trained network for other programs, and whether weights are still the same."""
