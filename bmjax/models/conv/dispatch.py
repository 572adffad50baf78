"""How a convolution is carried out: by XLA, or as matrix products.

On accelerators XLA's own convolution is the right one. On CPU its gradients are slow,
those of kernels above all, and grouped ones are slow in all directions. There
`row_patches` computes the same function, faster `grouped` for narrow groups and
`winograd` for many 3x3 windows, and `convolve` chooses.
"""

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.models.conv.grouped import convolve_narrow_groups
from bmjax.models.conv.row_patches import convolve_by_products
from bmjax.models.conv.winograd import convolve_by_tiles
from bmjax.models.conv.xla import convolve_by_xla, convolve_few_channels

LOWERINGS = ("auto", "xla", "matmul")
FEW_CHANNELS = 8  # with fewer, the products are too thin: the stem, which sees colors
VECTOR = 8  # numbers of float32 that AVX2 takes at a time
NARROW_GROUP = 16  # channels up to which groups side by side beat blocks of them
# Measured with 16 images: tiles pay at 28 and 14 pixels, 64 and 128 channels, and at
# none of 24 pixels, 32 channels, 7, 256 and 4, 512.
TILED_CHANNELS = 64
TILES_PER_CHANNEL = 2  # the kernel's transform is 16 numbers for each of its 9


def convolve(
    images: Array,
    kernel: Array,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    lowering: str = "auto",
) -> Array:
    """Cross-correlates images with a kernel, as every deep-learning library does.

    Args:
      images: float [B, H, W, C].
      kernel: float [kernel height, kernel width, C / groups, output channels].
      stride: step between output positions, in pixels, in both directions.
      padding: rows and columns of zeros on each of the four sides.
      groups: number of groups that the channels fall into, each with its own kernel.
      lowering: "xla", "matmul", or "auto" for the faster of the two by platform and
        shape. All three give the same numbers up to rounding.

    Returns:
      float [B, H', W', output channels], H' = (H + 2 padding - height) // stride + 1.

    Raises:
      ValueError: for an unknown lowering, or channels that do not fit the groups.
    """
    if lowering not in LOWERINGS:
        raise ValueError(f"lowering must be one of {LOWERINGS}, got {lowering!r}")
    if images.shape[-1] != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise ValueError(
            f"a kernel of shape {kernel.shape} in {groups} groups does not fit images "
            f"of shape {images.shape}"
        )
    if lowering == "auto" and jax.default_backend() != "cpu":
        lowering = "xla"
    if lowering == "auto":
        if groups == 1 and images.shape[-1] < FEW_CHANNELS:
            return convolve_few_channels(images, kernel, stride, padding)
        if _are_narrow(images, kernel, groups):
            return convolve_narrow_groups(images, kernel, stride, padding, groups)
        if _fill_tiles(images, kernel, stride, padding):
            return convolve_by_tiles(images, kernel)
        lowering = "matmul"
    if lowering == "matmul":
        return convolve_by_products(images, kernel, stride, padding, groups)
    return convolve_by_xla(images, kernel, stride, padding, groups)


def _are_narrow(images: Array, kernel: Array, groups: int) -> bool:
    """Whether there are many groups of few channels."""
    widest = max(kernel.shape[2], kernel.shape[3] // groups)
    return _is_wide(images) and groups >= VECTOR and widest <= NARROW_GROUP


def _fill_tiles(images: Array, kernel: Array, stride: int, padding: int) -> bool:
    """Whether it is a 3x3 convolution with work enough to pay for its transforms."""
    batch, height, width, channels = images.shape
    tiles = batch * -(-height // 2) * -(-width // 2)
    return (
        _is_wide(images)
        and (*kernel.shape[:3], stride, padding) == (3, 3, channels, 1, 1)
        and min(kernel.shape[2:]) >= TILED_CHANNELS
        and tiles >= TILES_PER_CHANNEL * max(kernel.shape[2:])
    )


def _is_wide(images: Array) -> bool:
    """Whether sums outside matrix products lose nothing: in bfloat16 they would."""
    return images.dtype in (jnp.float32, jnp.float64)
