"""Masks of blocks of patches: how many, how they lie, and against DINOv2's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.augment.block_masks import block_masks, draw_masks
from tests.conftest import GOLDEN

ARCHIVE = np.load(GOLDEN / "dinov2_losses.npz")
NUMBERS = {"views": 2, "rows": 8, "columns": 6, "ratio": (0.1, 0.5)}


def test_masks_are_like_dinov2s():
    """What 4,000 masks of its own generator are like, for each of five counts."""
    side, targets = int(ARCHIVE["masks/side"]), ARCHIVE["masks/targets"]
    draws = 2000
    counts = jnp.repeat(jnp.asarray(targets, jnp.int32), draws)
    masks = jax.jit(block_masks, static_argnames=("rows", "columns"))(
        jax.random.key(0), counts, rows=side, columns=side
    )
    masks = np.asarray(masks).reshape(len(targets), draws, side, side)
    found = masks.sum(axis=(2, 3))
    assert np.all(found <= targets[:, None])
    np.testing.assert_allclose(
        found.mean(axis=1), ARCHIVE["masks/mean_count"], atol=0.1
    )
    np.testing.assert_allclose(found.std(axis=1), ARCHIVE["masks/sd_count"], atol=0.15)
    alike = [masks[:, :, 1:] == masks[:, :, :-1], masks[..., 1:] == masks[..., :-1]]
    alike = np.mean([pairs.mean(axis=(1, 2, 3)) for pairs in alike], axis=0)
    # The mean of 2,000 masks varies by some 0.0005.
    np.testing.assert_allclose(alike, ARCHIVE["masks/alike_neighbors"], atol=0.003)
    sides = masks[:, :, 0], masks[:, :, -1], masks[..., 0], masks[..., -1]
    edges = np.mean([side.mean(axis=(1, 2)) for side in sides], axis=0)
    np.testing.assert_allclose(edges, ARCHIVE["masks/share_at_edges"], atol=0.008)


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 0.7, 1.0])
def test_so_many_views_are_masked_and_no_more_of_one_image(probability):
    batch = 12
    masks = draw_masks(
        jax.random.key(1), batch=batch, probability=probability, **NUMBERS
    )
    counts = np.asarray(masks.sum(axis=(2, 3)))
    assert (counts > 0).sum() == int(24 * probability)
    assert (counts > 0).sum(axis=1).max() == np.ceil(2 * probability)
    assert counts.max() <= 0.5 * 48
    assert np.all((counts == 0) | (counts >= 2))  # 0.1 x 48 is 4; it may fall short


def test_shares_are_spread_over_the_range_and_both_views_are_masked_alike():
    masks = draw_masks(jax.random.key(2), batch=200, probability=0.5, **NUMBERS)
    masks = np.asarray(masks)
    shares = masks.mean(axis=(2, 3))
    taken = np.sort(shares[shares > 0])
    expected = np.linspace(0.1, 0.5, len(taken))
    # A number of patches is rounded down, by half a patch on average.
    np.testing.assert_allclose(taken.mean(), expected.mean() - 0.5 / 48, atol=0.01)
    np.testing.assert_allclose(np.quantile(taken, [0.1, 0.9]), [0.14, 0.46], atol=0.03)
    first = (shares[:, 0] > 0).mean()
    assert 0.35 < first < 0.65


def test_the_key_alone_says_what_is_masked():
    draw = lambda seed: draw_masks(
        jax.random.key(seed), batch=6, probability=0.5, **NUMBERS
    )
    np.testing.assert_array_equal(draw(3), draw(3))
    assert np.any(draw(3) != draw(4))
