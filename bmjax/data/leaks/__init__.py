"""Copies of images across a split: the same pixels, or nearly so."""
