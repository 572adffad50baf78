"""Learned positions of patches, resampled for images of another size.

Three rules are in use, and with the same weights they give different features, so a
rule has a name. Each network has its own, `config.model.interpolation` takes another.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

# facebookresearch/dinov2, vision_transformer.py: "a small number to avoid floating
# point error in the interpolation".
_OFFSET = 0.1  # patches


def resample_positions(
    positions: Array, rows: int, columns: int, interpolation: str
) -> Array:
    """Resamples learned positions for another number of patches.

    Where the number is that of the positions they come back as they are.

    Args:
      positions: float [1, 1 + side ** 2, F], that of the class token first, which stays
        as it is.
      rows: patches from top to bottom.
      columns: patches from left to right.
      interpolation: one of `INTERPOLATIONS`.

    Returns:
      float [1, 1 + rows * columns, F].
    """
    count, width = positions.shape[1] - 1, positions.shape[2]
    side = round(count**0.5)
    if (rows, columns) == (side, side):
        return positions
    # In float32 whatever the type, as the originals: so rounding too is theirs.
    grid = positions[0, 1:].reshape(side, side, width).astype(jnp.float32)
    patches = INTERPOLATIONS[interpolation](grid, rows, columns)
    patches = patches.reshape(1, rows * columns, width).astype(positions.dtype)
    return jnp.concatenate([positions[:, :1], patches], axis=1)


def _by_offset_scale(grid: Array, rows: int, columns: int) -> Array:
    """DINOv2's without registers: by the scale (n + 0.1) / side, a = -0.75.

    Pixel centers are placed by this scale, not by that of the sizes; no antialiasing.
    """
    scale = jnp.array([rows + _OFFSET, columns + _OFFSET]) / grid.shape[0]
    return jax.image.scale_and_translate(
        grid,
        (rows, columns, grid.shape[2]),
        (0, 1),
        scale.astype(grid.dtype),
        jnp.zeros(2, grid.dtype),
        "bicubic-pytorch",
        antialias=False,
    )


def _by_size_antialiased(grid: Array, rows: int, columns: int) -> Array:
    """timm's, and DINOv2's with registers: by size, antialiased, a = -0.5."""
    shape = (rows, columns, grid.shape[2])
    return jax.image.resize(grid, shape, "bicubic", antialias=True)


def _by_size(grid: Array, rows: int, columns: int) -> Array:
    """Hugging Face's Dinov2 since transformers#35411: by size, plain, a = -0.75."""
    shape = (rows, columns, grid.shape[2])
    return jax.image.resize(grid, shape, "bicubic-pytorch", antialias=False)


# Each maps a grid [side, side, F] to [rows, columns, F], as torch does: there bicubic
# has a = -0.75 without antialiasing and a = -0.5 with it.
INTERPOLATIONS: dict[str, Callable[[Array, int, int], Array]] = {
    "offset": _by_offset_scale,
    "size_antialias": _by_size_antialiased,
    "size": _by_size,
}
