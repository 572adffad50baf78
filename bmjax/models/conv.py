"""How a convolution is carried out: by XLA, or as matrix products.

On accelerators XLA's own convolution is the right one. On CPU its gradient is slow in
two cases that residual networks are made of: 1x1 kernels and grouped kernels. Here the
same function is also written as slices and matrix products, whose gradients are again
slices and matrix products, and `convolve` chooses by platform and shape.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

LOWERINGS = ("auto", "xla", "matmul")
BLOCK_CHANNELS = 32  # groups are merged until a block is this many channels wide


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
        lowering = _choose(kernel.shape, groups)
    if lowering == "xla":
        return lax.conv_general_dilated(
            images,
            kernel,
            window_strides=(stride, stride),
            padding=((padding, padding), (padding, padding)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
    taps = _taps(images, kernel.shape[:2], stride, padding)
    if groups == 1:
        return _dense_product(taps, kernel)
    return _grouped_product(taps, kernel, groups)


def _choose(kernel_shape: tuple[int, ...], groups: int) -> str:
    """Names the faster lowering; only the platform and static shapes decide.

    Measured forward and backward on two CPU cores, times of XLA over matrix products:
    1x1 kernels 2 to 10; 3x3 in 32 groups about 30; 3x3 without groups 0.4 to 1.1, with
    1.7 for 3x3 pixels of 512 channels; the 7x7 stem 0.4 to 0.7 for 32 and 0.7 to 1 for
    64 channels.
    """
    if jax.default_backend() != "cpu":
        return "xla"
    is_pointwise = kernel_shape[:2] == (1, 1)
    return "matmul" if is_pointwise or groups > 1 else "xla"


def _taps(
    images: Array, size: tuple[int, ...], stride: int, padding: int
) -> list[Array]:
    """Cuts the images that each kernel position sees: a list of [B, H', W', C]."""
    if padding:
        images = jnp.pad(
            images, ((0, 0), (padding, padding), (padding, padding), (0, 0))
        )
    rows = images.shape[1] - size[0] + 1
    columns = images.shape[2] - size[1] + 1
    return [
        images[:, top : top + rows : stride, left : left + columns : stride]
        for top in range(size[0])
        for left in range(size[1])
    ]


def _dense_product(taps: list[Array], kernel: Array) -> Array:
    """Multiplies patches [B, H', W', taps * C] with the kernel as one matrix."""
    patches = taps[0] if len(taps) == 1 else jnp.concatenate(taps, axis=-1)
    return patches @ kernel.reshape(-1, kernel.shape[-1])


def _grouped_product(taps: list[Array], kernel: Array, groups: int) -> Array:
    """Multiplies all groups at once, merged into blocks with zeros off the diagonal.

    A group of 4 channels alone makes matrices too narrow for a processor; 8 such groups
    side by side cost 8 times the arithmetic and are still several times faster.
    """
    merged = _groups_per_block(groups, kernel.shape[2])
    blocks = groups // merged
    batch, height, width, _ = taps[0].shape
    size = len(taps)
    patches = jnp.stack(
        [tap.reshape(-1, blocks, tap.shape[-1] // blocks) for tap in taps]
    )
    patches = patches.transpose(2, 1, 0, 3).reshape(blocks, batch * height * width, -1)
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    kernel = kernel.reshape(size, inputs, blocks, merged, outputs)
    diagonal = jnp.eye(merged, dtype=kernel.dtype)
    dense = jnp.einsum("tibmo,nm->btnimo", kernel, diagonal)
    dense = dense.reshape(blocks, size * merged * inputs, merged * outputs)
    product = jnp.einsum("bxk,bkf->xbf", patches, dense)
    return product.reshape(batch, height, width, -1)


def _groups_per_block(groups: int, channels: int) -> int:
    """Returns the largest divisor of `groups` whose block fits BLOCK_CHANNELS."""
    fitting = [
        merged
        for merged in range(1, groups + 1)
        if groups % merged == 0 and merged * channels <= BLOCK_CHANNELS
    ]
    return max(fitting, default=1)
