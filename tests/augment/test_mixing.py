"""Mixup and cutmix against the authors' code, and their own laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.augment.mixing import cutmix, draw_center, draw_weight, mixup
from tests.conftest import GOLDEN

ARCHIVE = np.load(GOLDEN / "mixup_cutmix.npz")
IMAGES = jnp.asarray(ARCHIVE["x"].transpose(0, 2, 3, 1))
TARGETS = jax.nn.one_hot(ARCHIVE["y"], 21)


def names(prefix, ending):
    return [
        name.removesuffix(ending)
        for name in ARCHIVE
        if name.startswith(prefix) and name.endswith(ending)
    ]


def agrees(found, case):
    images, targets = found
    # float32, as their authors ran it.
    expected = ARCHIVE[f"{case}/batch"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(images, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(targets, ARCHIVE[f"{case}/target"], atol=1e-6)


@pytest.mark.parametrize("case", names("mixup/", "/lam"))
def test_mixup_agrees_with_the_authors(case):
    agrees(mixup(IMAGES, TARGETS, jnp.float32(ARCHIVE[f"{case}/lam"])), case)


@pytest.mark.parametrize("case", names("cutmix/", "/lam_drawn"))
def test_cutmix_agrees_with_the_authors(case):
    column_row = jnp.float32(ARCHIVE[f"{case}/centre_xy"])
    weight = jnp.float32(ARCHIVE[f"{case}/lam_drawn"])
    agrees(cutmix(IMAGES, TARGETS, weight, center=column_row[::-1]), case)


def test_a_batch_of_one_is_its_own_partner():
    found = mixup(IMAGES[:1], TARGETS[:1], jnp.float32(0.3))
    np.testing.assert_allclose(found[0], IMAGES[:1], rtol=1e-6)
    np.testing.assert_allclose(found[1], TARGETS[:1], rtol=1e-6)


def test_weights_are_drawn_as_the_authors_draw_them():
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = jax.vmap(lambda key: draw_weight(key, alpha=0.1))(keys)
    assert jnp.isfinite(drawn).all()
    mean, variance = ARCHIVE["mixup/alpha01_draws/mean_var"]
    assert drawn.mean() == pytest.approx(mean, abs=0.02)
    assert drawn.var() == pytest.approx(variance, abs=0.01)


def test_a_cutmix_of_weight_one_changes_nothing_and_targets_follow_the_area():
    same = cutmix(IMAGES, TARGETS, jnp.float32(1), center=jnp.array([3.0, 3.0]))
    np.testing.assert_array_equal(same[0], IMAGES)
    np.testing.assert_array_equal(same[1], TARGETS)
    images, targets = cutmix(
        jnp.arange(2.0).reshape(2, 1, 1, 1) * jnp.ones((1, 8, 6, 1)),
        jnp.eye(2),
        jnp.float32(0.5),
        center=jnp.array([0.0, 5.0]),
    )
    np.testing.assert_allclose(images[1].mean(), targets[1, 1], rtol=1e-6)
    np.testing.assert_allclose(images[0].mean(), targets[0, 1], rtol=1e-6)


def test_every_pixel_can_be_the_center():
    keys = jax.random.split(jax.random.key(0), 2_000)
    centers = np.asarray(jax.vmap(lambda key: draw_center(key, IMAGES))(keys))
    assert set(centers[:, 0]) == set(range(8))
    assert set(centers[:, 1]) == set(range(6))
