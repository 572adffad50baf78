"""Stain jitter's own laws."""

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.augment.stain import rgb_to_stains, stain_jitter, stains_to_rgb

IMAGES = jax.random.uniform(jax.random.key(0), (3, 5, 4, 3))


def test_stains_go_back_to_colors():
    corners = jnp.array([[0.0, 0, 0], [1, 1, 1], [1, 0, 0.5]]).reshape(1, 1, 3, 3)
    for images in (IMAGES, corners):
        back = stains_to_rgb(rgb_to_stains(images))
        np.testing.assert_allclose(back, images, atol=1e-5)


def test_light_that_nothing_absorbs_carries_no_stain():
    np.testing.assert_allclose(rgb_to_stains(jnp.ones((1, 1, 1, 3))), 0, atol=1e-6)


def test_jitter_of_no_strength_or_probability_changes_nothing():
    for strength, probability in ((0.0, 1.0), (0.2, 0.0)):
        found = stain_jitter(
            jax.random.key(1), IMAGES, strength=strength, probability=probability
        )
        np.testing.assert_allclose(found, IMAGES, atol=1e-5)


def test_jitter_stays_in_range_and_treats_each_image_by_itself():
    found = stain_jitter(jax.random.key(1), IMAGES, strength=0.2, probability=1.0)
    assert found.min() >= 0
    assert found.max() <= 1
    changed = jnp.abs(found - IMAGES).mean(axis=(1, 2, 3))
    assert (changed > 1e-3).all()
    same = stain_jitter(
        jax.random.key(1),
        jnp.broadcast_to(IMAGES[:1], IMAGES.shape),
        strength=0.2,
        probability=1.0,
    )
    assert float(jnp.abs(same[0] - same[1]).max()) > 1e-3
