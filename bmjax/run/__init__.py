"""One configuration becomes one folder: build, check, train, evaluate."""
