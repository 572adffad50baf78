"""The max pooling behind the stem of a residual network."""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array, lax


def max_pool(images: Array, *, lowering: str = "auto") -> Array:
    """Takes the largest value in windows of 3x3 pixels, two pixels apart.

    The rim is padded by one pixel that never wins. Where values tie, the gradient goes
    to the first in reading order, as in torch.

    Args:
      images: float [B, H, W, C].
      lowering: "xla" for XLA's window reduction, one operator of an exported file;
        "matmul" or "auto" for slices and comparisons, named like the lowerings of
        convolutions they go with. With its gradient XLA's takes 11 to 16 times as long
        on a CPU (batch 32, 48 x 48 pixels, 32 and 64 channels) and 1.3 to 1.5 times as
        long on an H100 (experiments/2026-11-27-h100).

    Returns:
      float [B, ceil(H / 2), ceil(W / 2), C].
    """
    if lowering == "xla":
        return nn.max_pool(images, (3, 3), (2, 2), ((1, 1), (1, 1)))
    return _max_pool_axis(_max_pool_axis(images, 2), 1)


def _max_pool_axis(images: Array, axis: int) -> Array:
    """Pools along one axis: output i is the largest of inputs 2i - 1, 2i and 2i + 1."""
    images = _pad(images, axis, 0, images.shape[axis] % 2)
    pairs = images.shape[axis] // 2
    shape = (*images.shape[:axis], pairs, 2, *images.shape[axis + 1 :])
    images = images.reshape(shape)
    even = lax.index_in_dim(images, 0, axis + 1, keepdims=False)
    odd = lax.index_in_dim(images, 1, axis + 1, keepdims=False)
    before = _pad(lax.slice_in_dim(odd, 0, pairs - 1, axis=axis), axis, 1, 0)
    return _larger(_larger(before, even), odd)


def _pad(images: Array, axis: int, low: int, high: int) -> Array:
    """Adds lines of minus infinity at the two ends of an axis."""
    widths = [(0, 0)] * images.ndim
    widths[axis] = (low, high)
    return jnp.pad(images, widths, constant_values=-jnp.inf)


def _larger(first: Array, second: Array) -> Array:
    """Takes the larger value, the first of two equal ones, and NaN where one is NaN.

    jnp.maximum would share the gradient of a tie between both.
    """
    return jnp.where((second > first) | jnp.isnan(second), second, first)
