"""KoLeo, masked patches and their codes against DINOv2's own, and their laws.

tests/golden/dinov2_losses.npz has what the loss functions of facebookresearch/dinov2
(dinov2/loss, at world size 1) gave in float64 for the inputs beside it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.losses import koleo, masked_patch_prediction, sinkhorn
from tests.conftest import GOLDEN, cases

ARCHIVE = np.load(GOLDEN / "dinov2_losses.npz")
KOLEO = [case for case in cases(ARCHIVE) if case.startswith("koleo")]


def of(name):
    return jnp.asarray(ARCHIVE[name])


@pytest.mark.parametrize("case", KOLEO)
def test_koleo_is_dinov2s(case, float64):
    features = of(f"{case}/features")
    value, gradient = jax.value_and_grad(lambda x: koleo(x).mean())(features)
    np.testing.assert_allclose(value, ARCHIVE[f"{case}/loss"], rtol=1e-9)
    # Of two equal points the gradient is some 1e7, and rounding 1e-16 of it.
    largest = np.abs(ARCHIVE[f"{case}/grad"]).max()
    np.testing.assert_allclose(
        gradient, ARCHIVE[f"{case}/grad"], rtol=1e-7, atol=1e-9 * largest
    )


def test_koleo_is_lower_for_points_that_are_farther_apart():
    close = jnp.array([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1]])
    spread = jnp.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    assert koleo(spread).mean() < koleo(close).mean()
    # A step against the gradient takes neighbors apart, and no scale matters.
    slope = jax.grad(lambda x: koleo(x).mean())(close)
    assert koleo(close - 1e-3 * slope).mean() < koleo(close).mean()
    np.testing.assert_allclose(koleo(5.0 * close), koleo(close), rtol=1e-4)


def test_koleo_permutes_with_the_batch_and_is_finite_for_equal_features():
    features = jax.random.normal(jax.random.key(0), (7, 4))
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    np.testing.assert_allclose(
        koleo(features[order]), koleo(features)[order], rtol=1e-5
    )
    value, slope = jax.value_and_grad(lambda x: koleo(x).mean())(jnp.ones((3, 4)))
    assert np.isfinite(value)
    assert np.all(np.isfinite(slope))


def slots_of(patches, masks, width):
    """Patches [n, K], in the order of the mask's, as [views, width, K]."""
    found = np.zeros((len(masks), width, patches.shape[1]), patches.dtype)
    held = np.zeros((len(masks), width), bool)
    start = 0
    for view, count in enumerate(np.asarray(masks).sum(axis=1)):
        found[view, :count] = patches[start : start + count]
        held[view, :count] = True
        start += count
    return jnp.asarray(found), jnp.asarray(held)


@pytest.mark.parametrize("width", [4, 9])
@pytest.mark.parametrize("which", ["first", "second"])
def test_codes_and_loss_of_masked_patches_are_dinov2s(which, width, float64):
    masks = ARCHIVE["patches/masks"]
    codes = ARCHIVE[f"patches/sinkhorn_{which}_codes"]
    student, held = slots_of(ARCHIVE["patches/student"], masks, width)
    teacher, _ = slots_of(ARCHIVE[f"patches/teacher_{which}"], masks, width)
    # What an empty slot holds has no part.
    teacher = jnp.where(held[..., None], teacher, 3.0)
    found = sinkhorn(
        teacher.reshape(-1, teacher.shape[-1]),
        epsilon=float(ARCHIVE["patches/teacher_temperature"]),
        iterations=3,
        counted=held.reshape(-1),
    ).reshape(teacher.shape)
    np.testing.assert_allclose(found[held], codes, rtol=1e-9, atol=1e-12)
    assert not np.any(found[~held])

    def loss(scores):
        return masked_patch_prediction(scores, found, held, temperature=0.1).mean()

    value, gradient = jax.value_and_grad(loss)(student)
    np.testing.assert_allclose(
        value, ARCHIVE[f"patches/sinkhorn_{which}_loss"], rtol=1e-9
    )
    np.testing.assert_allclose(
        gradient[held], ARCHIVE[f"patches/sinkhorn_{which}_grad"], rtol=1e-9, atol=1e-12
    )
    assert not np.any(gradient[~held])


def test_all_rows_counted_are_the_transport_without_a_count():
    scores = jax.random.normal(jax.random.key(0), (12, 5))
    straight = sinkhorn(scores, epsilon=0.05, iterations=3)
    counted = sinkhorn(scores, epsilon=0.05, iterations=3, counted=jnp.ones(12, bool))
    np.testing.assert_allclose(counted, straight, rtol=1e-5, atol=1e-7)
    nothing = sinkhorn(scores, epsilon=0.05, iterations=3, counted=jnp.zeros(12, bool))
    assert not np.any(nothing)
