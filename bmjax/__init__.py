"""Visual representations of bone-marrow cells, in JAX.

The package is imported without jax, so that commands answer at once; the rooms
(`bmjax.data`, `bmjax.losses`, `bmjax.methods`, ...) are imported by name.
"""

__version__ = "0.1.0"
