"""Whole augmentations: uint8 pixels in, normalized float views out."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.augment.color import (
    hsv_jitter,
    normalize,
    random_blur,
    random_grayscale,
    to_float,
)
from bmjax.augment.geometry import random_flip, random_resized_crop, resize
from bmjax.augment.stain import stain_jitter


class Crops(NamedTuple):
    """Random crops of one size; `count` of them an image."""

    count: int
    size: int  # pixels
    scale: tuple[float, float]  # share of the image's area


class Color(NamedTuple):
    """Strengths of everything but the crop; see `color` and `stain` beside it."""

    flip_horizontal: float  # probability
    flip_vertical: float  # probability
    jitter: float  # probability
    hue: float  # turns
    saturation: float
    value: float
    grayscale: float  # probability
    blur: float  # probability
    blur_sigma: tuple[float, float]  # pixels
    stain: float = 0.0  # probability
    stain_strength: float = 0.05


Recipe = Callable[[Array, Array], tuple[Array, ...]]


def multi_crop(
    crops: tuple[Crops, ...],
    color: Color,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Recipe:
    """Return views(key, pixels): one array [B, V, H, W, C] for each size of crop.

    The order is that of the reference: crop, flips, jitter, grayscale, blur,
    normalization; stain comes before jitter. Each view of each image draws its own.
    """

    def one_view(key: Array, images: Array, crop: Crops) -> Array:
        # A key for each operation by one split. Not by fold_in from another's key:
        # fold_in(k, 1) is split(k, 4)[1], which the other operation draws from itself.
        keys = jax.random.split(key, 6)
        crop_key, flip_key, jitter_key, gray_key, blur_key, stain_key = keys
        images = random_resized_crop(crop_key, images, size=crop.size, scale=crop.scale)
        images = random_flip(
            flip_key,
            images,
            horizontal=color.flip_horizontal,
            vertical=color.flip_vertical,
        )
        if color.jitter or color.stain:
            # A linear resize can leave 0..1 by rounding alone; HSV wants it inside.
            images = jnp.clip(images, 0.0, 1.0)
        if color.stain:
            images = stain_jitter(
                stain_key,
                images,
                strength=color.stain_strength,
                probability=color.stain,
            )
        if color.jitter:
            images = hsv_jitter(
                jitter_key,
                images,
                hue=color.hue,
                saturation=color.saturation,
                value=color.value,
                probability=color.jitter,
            )
        if color.grayscale:
            images = random_grayscale(gray_key, images, probability=color.grayscale)
        if color.blur:
            images = random_blur(
                blur_key, images, sigma=color.blur_sigma, probability=color.blur
            )
        return normalize(images, mean=mean, std=std)

    def views(key: Array, pixels: Array) -> tuple[Array, ...]:
        images = to_float(pixels)
        keys = iter(jax.random.split(key, sum(crop.count for crop in crops)))
        return tuple(
            jnp.stack([one_view(next(keys), images, c) for _ in range(c.count)], axis=1)
            for c in crops
        )

    return views


def plain(
    *, size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Callable[[Array], Array]:
    """Return prepare(pixels): images [B, size, size, C] as evaluation sees them.

    No crop and no randomness, as in the authors' evaluation.
    """

    def prepare(pixels: Array) -> Array:
        return normalize(resize(to_float(pixels), size=size), mean=mean, std=std)

    return prepare
