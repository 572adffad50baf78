"""Sinkhorn against the published one, and its own laws."""

import jax
import numpy as np
import pytest

from bmjax.losses import sinkhorn
from tests.conftest import GOLDEN, cases

ARCHIVE = np.load(GOLDEN / "swav_sinkhorn.npz")


def codes_of(case, dtype):
    return np.asarray(
        sinkhorn(
            jax.numpy.asarray(ARCHIVE[f"{case}/scores"], dtype),
            epsilon=float(ARCHIVE[f"{case}/epsilon"]),
            iterations=int(ARCHIVE[f"{case}/iterations"]),
        )
    )


@pytest.mark.parametrize("case", cases(ARCHIVE))
def test_agrees_with_the_published_iteration(case, float64):
    # The same sums in another order, in float64.
    np.testing.assert_allclose(
        codes_of(case, "float64"), ARCHIVE[f"{case}/q_float64"], rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("case", cases(ARCHIVE))
def test_is_finite_and_right_in_float32(case):
    # Scores of 5 at epsilon 0.03 are exponents of 167, known in float32 to 1e-5.
    np.testing.assert_allclose(
        codes_of(case, "float32"), ARCHIVE[f"{case}/q_float64"], rtol=2e-3, atol=2e-4
    )


def test_rows_sum_to_one_and_columns_to_equal_shares():
    scores = jax.random.uniform(jax.random.key(0), (32, 8), minval=-1)
    codes = sinkhorn(scores, epsilon=0.1, iterations=100)
    np.testing.assert_allclose(codes.sum(axis=1), np.ones(32), rtol=1e-5)
    np.testing.assert_allclose(codes.sum(axis=0), np.full(8, 32 / 8), rtol=1e-4)


def test_permuting_the_batch_permutes_the_codes():
    scores = jax.random.normal(jax.random.key(1), (12, 5))
    order = np.random.Generator(np.random.PCG64(0)).permutation(12)
    straight = sinkhorn(scores, epsilon=0.05, iterations=3)
    permuted = sinkhorn(scores[order], epsilon=0.05, iterations=3)
    np.testing.assert_allclose(straight[order], permuted, rtol=1e-4, atol=1e-6)
