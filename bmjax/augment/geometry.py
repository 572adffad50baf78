"""Crops and flips."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# torchvision draws a box up to ten times and falls back to the whole (square) image.
_ATTEMPTS = 10


def crop_and_resize(
    image: Float[Array, "height width channels"],
    top: Float[Array, ""],
    left: Float[Array, ""],
    height: Float[Array, ""],
    width: Float[Array, ""],
    *,
    size: int,
) -> Float[Array, "size size channels"]:
    """Cut one box (in pixels) and resize it to `size` x `size`, linear, antialiased.

    Stands for torchvision's `resized_crop(antialias=True)`; inside they agree to 1/255
    of the range. At the rim this one sees the pixels beyond the box, where torchvision
    repeats the box's edge: up to 4/255 there.
    """
    scale = jnp.stack([size / height, size / width])
    translation = -jnp.stack([top, left]) * scale
    return jax.image.scale_and_translate(
        image,
        (size, size, image.shape[-1]),
        (0, 1),
        scale,
        translation,
        method="linear",
        antialias=True,
    )


def random_resized_crop(
    key: Array,
    images: Float[Array, "batch height width channels"],
    *,
    size: int,
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Float[Array, "batch size size channels"]:
    """Cut one random box from each image and resize it to `size` x `size`.

    The law of torchvision's RandomResizedCrop: the box has a share of the image's area
    uniform in `scale` and an aspect (width / height) log-uniform in `ratio`, in whole
    pixels; a box that does not fit is drawn again, at most ten times.
    """
    batch, height, width, _ = images.shape
    area_key, ratio_key, top_key, left_key = jax.random.split(key, 4)
    draws = (batch, _ATTEMPTS)
    area = jax.random.uniform(area_key, draws, minval=scale[0], maxval=scale[1])
    aspect = jnp.exp(
        jax.random.uniform(
            ratio_key, draws, minval=math.log(ratio[0]), maxval=math.log(ratio[1])
        )
    )
    heights = jnp.round(jnp.sqrt(area * height * width / aspect))
    widths = jnp.round(jnp.sqrt(area * height * width * aspect))
    fits = (heights <= height) & (widths <= width) & (heights > 0) & (widths > 0)
    first = jnp.argmax(fits, axis=1, keepdims=True)
    any_fits = fits.any(axis=1)
    box_height = jnp.where(
        any_fits, jnp.take_along_axis(heights, first, axis=1)[:, 0], height
    )
    box_width = jnp.where(
        any_fits, jnp.take_along_axis(widths, first, axis=1)[:, 0], width
    )
    top = jnp.floor(
        jax.random.uniform(top_key, (batch,)) * (height - box_height + 1)
    ).clip(0, height - box_height)
    left = jnp.floor(
        jax.random.uniform(left_key, (batch,)) * (width - box_width + 1)
    ).clip(0, width - box_width)
    cut = jax.vmap(lambda *box: crop_and_resize(*box, size=size))
    return cut(images, top, left, box_height, box_width)


def resize(
    images: Float[Array, "batch height width channels"], *, size: int
) -> Float[Array, "batch size size channels"]:
    """Resize whole images, linear and antialiased; nothing at all where sizes agree."""
    if images.shape[1:3] == (size, size):
        return images
    shape = (images.shape[0], size, size, images.shape[-1])
    return jax.image.resize(images, shape, "linear", antialias=True)


def random_flip(
    key: Array,
    images: Float[Array, "batch height width channels"],
    *,
    horizontal: float,
    vertical: float,
) -> Float[Array, "batch height width channels"]:
    """Mirror each image left-right and top-bottom with the given probabilities."""
    horizontal_key, vertical_key = jax.random.split(key)
    batch = (images.shape[0], 1, 1, 1)
    mirror = jax.random.bernoulli(horizontal_key, horizontal, batch)
    images = jnp.where(mirror, images[:, :, ::-1], images)
    mirror = jax.random.bernoulli(vertical_key, vertical, batch)
    return jnp.where(mirror, images[:, ::-1], images)
