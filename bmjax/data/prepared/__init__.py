"""Prepared sets: the images of a folder as checked TensorFlow Datasets records."""
