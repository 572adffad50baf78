"""Images in, features out: a trained network applied to a folder of cells."""
