"""Convolution by XLA, and of few channels with the kernel's gradient written out."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax


def convolve_by_xla(
    images: Array, kernel: Array, stride: int, padding: int, groups: int = 1
) -> Array:
    """Convolves as `dispatch.convolve` does, by XLA's own convolution."""
    return lax.conv_general_dilated(
        images,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve_few_channels(
    images: Array, kernel: Array, stride: int, padding: int
) -> Array:
    """Convolves by XLA, with the kernel's gradient as a product of whole patches.

    For the stem, whose patches are small for the output they belong to.
    """
    return convolve_by_xla(images, kernel, stride, padding)


def _forward_few(images: Array, kernel: Array, stride: int, padding: int):
    return convolve_by_xla(images, kernel, stride, padding), (images, kernel)


def _backward_few(
    stride: int, padding: int, kept: tuple[Array, Array], cotangent: Array
):
    images, kernel, cotangent = lax.optimization_barrier((*kept, cotangent))
    by_xla = partial(convolve_by_xla, kernel=kernel, stride=stride, padding=padding)
    (image_gradient,) = jax.linear_transpose(by_xla, images)(cotangent)
    rows, columns, features, outputs = kernel.shape
    _, height, width, _ = cotangent.shape
    images = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    # Two stages: the second copies longer pieces.
    strips = jnp.concatenate(
        [images[:, i : i + stride * height : stride] for i in range(rows)], axis=-1
    )
    strips = lax.optimization_barrier(strips)
    patches = jnp.concatenate(
        [strips[:, :, j : j + stride * width : stride] for j in range(columns)], axis=-1
    )
    gradient = jnp.einsum(
        "xk,xf->kf",
        patches.reshape(-1, patches.shape[-1]),
        cotangent.reshape(-1, outputs),
    )
    gradient = gradient.reshape(columns, rows, features, outputs)
    return image_gradient, gradient.swapaxes(0, 1)


convolve_few_channels.defvjp(_forward_few, _backward_few)
