"""Training and test parts of a data set."""
