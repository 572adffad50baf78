"""Laws of whole augmentations."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.augment.recipes import Color, Crops, multi_crop

EVERYTHING = Color(
    flip_horizontal=0.5,
    flip_vertical=0.5,
    jitter=0.8,
    hue=0.1,
    saturation=0.2,
    value=0.2,
    grayscale=0.2,
    blur=0.5,
    blur_sigma=(0.1, 2.0),
    stain=0.5,
    stain_strength=0.05,
)
# What uses a key up: the functions of jax.random that draw, and the one that splits.
USES = ("bernoulli", "choice", "normal", "permutation", "randint", "split", "uniform")


@pytest.fixture
def used(monkeypatch):
    """How often each key was used up, by its bits."""
    counts = Counter()

    def record(function):
        def recorded(key, *arguments, **named):
            counts[np.asarray(jax.random.key_data(key)).tobytes()] += 1
            return function(key, *arguments, **named)

        return recorded

    for name in USES:
        monkeypatch.setattr(jax.random, name, record(getattr(jax.random, name)))
    return counts


def views(color):
    crops = Crops(2, 8, (0.4, 1.0)), Crops(1, 6, (0.1, 0.4))
    recipe = multi_crop(crops, color, mean=(0.5,) * 3, std=(0.2,) * 3)
    return recipe(jax.random.key(0), jnp.full((2, 10, 10, 3), 99, jnp.uint8))


@pytest.mark.slow
def test_no_two_operations_of_a_recipe_see_one_key(used):
    views(EVERYTHING)
    assert len(used) > 3 * 15  # three views, each of six operations
    assert max(used.values()) == 1


def test_the_law_sees_a_key_that_one_operation_derives_from_anothers(used):
    key = jax.random.key(0)
    jax.random.split(jax.random.fold_in(key, 1))
    for part in jax.random.split(key, 4):
        jax.random.uniform(part)
    assert max(used.values()) == 2


@pytest.mark.slow
def test_an_operation_more_leaves_the_draws_of_the_others_as_they_are():
    plain = views(EVERYTHING._replace(stain=0.0))
    stained = views(EVERYTHING._replace(stain=1.0, stain_strength=0.0))
    for without, with_stain in zip(plain, stained, strict=True):
        np.testing.assert_allclose(without, with_stain, atol=1e-4)
