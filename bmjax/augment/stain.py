"""Stain jitter: the dyes of a smear made a little stronger or weaker."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from bmjax.augment.color import Images

# Optical densities of hematoxylin, eosin and a third dye in red, green and blue
# (Ruifrok and Johnston 2001). Pappenheim's stain has an eosin and an azure that is near
# hematoxylin; nobody has an accepted matrix for it.
_DENSITIES = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
_DARKEST = 1e-6  # of a channel; its logarithm has to be finite


def rgb_to_stains(images: Images) -> Images:
    """How much of each dye lies on a pixel, from RGB in 0..1 (Beer and Lambert)."""
    density = -jnp.log(jnp.maximum(images, _DARKEST))
    return density @ jnp.linalg.inv(jnp.array(_DENSITIES, images.dtype))


def stains_to_rgb(stains: Images) -> Images:
    """Inverse of `rgb_to_stains`."""
    return jnp.exp(-(stains @ jnp.array(_DENSITIES, stains.dtype)))


def stain_jitter(
    key: Array, images: Images, *, strength: float, probability: float
) -> Images:
    """Scale and shift each dye of each image at random (Tellez et al. 2018, 2019).

    Args:
        key: one random key.
        images: RGB in 0..1.
        strength: the factor of each dye is uniform in 1 - s to 1 + s, what is added to
            it in -s to s; 0.05 is Tellez's "HED-light", 0.2 "HED-strong".
        probability: share of the images that is changed at all.
    """
    apply_key, scale_key, shift_key = jax.random.split(key, 3)
    batch = images.shape[0]
    dyes = (batch, 1, 1, 3)
    scale = jax.random.uniform(
        scale_key, dyes, minval=1 - strength, maxval=1 + strength
    )
    shift = jax.random.uniform(shift_key, dyes, minval=-strength, maxval=strength)
    jittered = stains_to_rgb(rgb_to_stains(images) * scale + shift)
    chosen = jax.random.bernoulli(apply_key, probability, (batch, 1, 1, 1))
    return jnp.where(chosen, jnp.clip(jittered, 0.0, 1.0), images)
