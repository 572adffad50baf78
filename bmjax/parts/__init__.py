"""Work in parts, which several commands can share."""
