"""Mixing images of a batch with their targets: mixup and cutmix.

The partner of each image is the one before it in the batch, and one weight serves the
whole batch (authors' code, contrib/torchvision/transforms.py, itself torchvision's
reference).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bmjax.augment.color import Images

SoftTargets = Float[Array, "batch classes"]


def draw_weight(key: Array, *, alpha: float) -> Float[Array, ""]:
    """One weight from Beta(alpha, alpha): near 0 or 1 where alpha is small."""
    return jax.random.beta(key, alpha, alpha)


def mixup(
    images: Images, targets: SoftTargets, weight: Float[Array, ""]
) -> tuple[Images, SoftTargets]:
    """Mean of each image and the one before it, and of their targets.

    Zhang et al. 2018.

    Args:
        images: normalized or not.
        targets: class probabilities.
        weight: of the image itself, 0 to 1; at 1 nothing changes.
    """

    def mixed(values: Array) -> Array:
        return weight * values + (1 - weight) * jnp.roll(values, 1, axis=0)

    return mixed(images), mixed(targets)


def cutmix(
    images: Images,
    targets: SoftTargets,
    weight: Float[Array, ""],
    *,
    center: Float[Array, "2"],
) -> tuple[Images, SoftTargets]:
    """Put a box of the image before it into each image, in one place for all.

    Yun et al. 2019. The box has a share 1 - weight of the area before it is cut at the
    rim; targets are mixed by the area that it really covers.

    Args:
        images: normalized or not.
        targets: class probabilities.
        weight: share of the image that is meant to stay, 0 to 1.
        center: row and column of the box's center, in pixels, whole numbers.
    """
    height, width = images.shape[1:3]
    half = 0.5 * jnp.sqrt(1 - weight)

    def covered(length: int, middle: Array) -> Array:
        reach = jnp.floor(half * length)
        place = jnp.arange(length)
        return (place >= middle - reach) & (place < middle + reach)

    box = covered(height, center[0])[:, None] & covered(width, center[1])[None, :]
    partner = jnp.roll(images, 1, axis=0)
    mixed = jnp.where(box[None, :, :, None], partner, images)
    kept = 1 - box.sum() / (height * width)
    return mixed, kept * targets + (1 - kept) * jnp.roll(targets, 1, axis=0)


def draw_center(key: Array, images: Images) -> Float[Array, "2"]:
    """Row and column of a pixel, any of them alike."""
    height, width = images.shape[1:3]
    row_key, column_key = jax.random.split(key)
    place = [
        jax.random.randint(row_key, (), 0, height),
        jax.random.randint(column_key, (), 0, width),
    ]
    return jnp.stack(place).astype(jnp.float32)
