"""Images in, cell types out: a trained run applied to a folder of cells."""
