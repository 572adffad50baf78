"""Convolutions, and the ways to carry them out."""
