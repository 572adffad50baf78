"""One-command experiments; each writes its figures into a folder beside its README."""
