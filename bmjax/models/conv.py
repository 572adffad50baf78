"""How a convolution is carried out: by XLA, or as matrix products.

On accelerators XLA's own convolution is the right one. On CPU its gradients are slow,
those of kernels above all, and grouped ones are slow in all directions. There
`bmjax.models.products` and, for narrow groups, `bmjax.models.narrow` compute the same
function, and `convolve` chooses.
"""

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.models.by_xla import convolve_by_xla, convolve_few_channels
from bmjax.models.narrow import convolve_narrow_groups
from bmjax.models.products import convolve_by_products

LOWERINGS = ("auto", "xla", "matmul")
FEW_CHANNELS = 8  # with fewer, the products are too thin: the stem, which sees colours
VECTOR = 8  # numbers of float32 that AVX2 takes at a time
NARROW_GROUP = 16  # channels up to which groups side by side beat blocks of them


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
    if lowering == "auto":
        lowering = "matmul" if jax.default_backend() == "cpu" else "xla"
        if lowering == "matmul" and groups == 1 and images.shape[-1] < FEW_CHANNELS:
            return convolve_few_channels(images, kernel, stride, padding)
        if lowering == "matmul" and _narrow(images, kernel, groups):
            return convolve_narrow_groups(images, kernel, stride, padding, groups)
    if lowering == "matmul":
        return convolve_by_products(images, kernel, stride, padding, groups)
    return convolve_by_xla(images, kernel, stride, padding, groups)


def _narrow(images: Array, kernel: Array, groups: int) -> bool:
    """Whether there are many groups of few channels, in numbers that can be summed."""
    widest = max(kernel.shape[2], kernel.shape[3] // groups)
    # In bfloat16 a sum of many terms would lose what a product keeps inside.
    exact = images.dtype in (jnp.float32, jnp.float64)
    return exact and groups >= VECTOR and widest <= NARROW_GROUP
