"""Agreement of two readers or counts: laws, and numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import cohen_kappa_score

from bmjax.evals.method_agreement import (
    FEWEST_LINE,
    kappa_of,
    limits_of_agreement,
    passing_bablok,
)


def _counts(cases, seed, *, ties=False):
    random = np.random.default_rng(seed)
    truth = random.uniform(5, 60, cases)
    first, second = (truth + random.normal(0, 3, cases) for _ in range(2))
    return (first.round(-1), second.round(-1)) if ties else (first, second)


def test_kappa_is_cohens_and_its_standard_error_fleiss():
    # Fleiss, Levin and Paik (2003), table 18.1: kappa 0.68, standard error 0.087.
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    kappa = kappa_of(table)
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(table[i, j])]
    assert kappa.value == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
    assert kappa.observed == pytest.approx(0.89)
    low, high = kappa.interval
    assert kappa.value == pytest.approx(0.676, abs=5e-4)
    assert (high - low) / 2 / norm.ppf(0.975) == pytest.approx(0.087, abs=2e-3)


def test_kappa_of_swapped_readers_is_the_same_and_of_one_class_none():
    table = np.random.default_rng(0).integers(1, 30, (4, 4))
    assert np.allclose(kappa_of(table).interval, kappa_of(table.T).interval)
    # All alike, the large-sample error is 0, and an interval of no width would be
    # the same for 2 cells and for 2,000.
    for perfect in (np.diag([5, 7]), np.diag([1, 1]), np.diag([70, 21, 9])):
        assert kappa_of(perfect).value == pytest.approx(1)
        assert kappa_of(perfect).interval is None
    assert kappa_of(np.array([[0, 5], [5, 0]])).interval is None
    assert kappa_of(np.array([[9, 0], [0, 0]])).value is None
    with pytest.raises(ValueError, match="cell"):
        kappa_of(np.zeros((2, 2), int))


def test_the_interval_of_kappa_covers():
    random = np.random.default_rng(1)
    shares = np.array([[0.4, 0.05, 0.05], [0.05, 0.2, 0.02], [0.03, 0.05, 0.15]])
    true = kappa_of((shares * 10000).round().astype(int)).value
    drawn = random.multinomial(200, shares.ravel(), 1000).reshape(-1, 3, 3)
    held = [low <= true <= high for low, high in (kappa_of(one)[1] for one in drawn)]
    assert 0.92 < np.mean(held) < 0.975


def test_identical_counts_have_no_bias_and_the_slope_1():
    first, _ = _counts(12, 0)
    limits, line = limits_of_agreement(first, first), passing_bablok(first, first)
    assert (limits.bias, limits.low, limits.high) == (0, 0, 0)
    assert line.slope == pytest.approx(1)
    assert line.slope_interval == pytest.approx((1, 1))
    assert line.intercept == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("cases", [12, 13, 14, 15])  # slopes: even, even, odd, odd
def test_swapped_readers_negate_the_bias_and_invert_the_slope(cases, ties):
    first, second = _counts(cases, cases, ties=ties)
    one, other = limits_of_agreement(first, second), limits_of_agreement(second, first)
    assert one.bias == pytest.approx(-other.bias)
    assert one.low == pytest.approx(-other.high)
    assert one.low_interval == pytest.approx(
        tuple(-e for e in other.high_interval[::-1])
    )
    line, swapped = passing_bablok(first, second), passing_bablok(second, first)
    assert line.slope == pytest.approx(1 / swapped.slope)
    low, high = line.slope_interval
    assert (low, high) == pytest.approx(
        tuple(1 / e for e in swapped.slope_interval[::-1])
    )
    assert line.intercept == pytest.approx(-swapped.intercept * line.slope, abs=1e-9)


def test_passing_bablok_is_the_shifted_median_of_the_slopes():
    """As the paper writes it: sorted slopes, an offset of those below -1."""
    first, second = _counts(11, 3)  # 55 slopes
    slopes = sorted(
        (second[j] - second[i]) / (first[j] - first[i])
        for i in range(11)
        for j in range(i + 1, 11)
    )
    below = sum(slope < -1 for slope in slopes)
    assert below
    half = norm.ppf(0.975) * math.sqrt(11 * 10 * 27 / 18)
    place = round((55 - half) / 2)
    line = passing_bablok(first, second)
    assert line.slope == pytest.approx(slopes[27 + below])
    assert line.slope_interval == pytest.approx(
        (slopes[place - 1 + below], slopes[55 - place + below])
    )
    assert line.intercept == pytest.approx(np.median(second - line.slope * first))


def test_an_outlier_does_not_move_the_line():
    x = np.arange(1.0, 16.0)
    y = 2 + 1.5 * x
    y[3] = 900
    line = passing_bablok(x, y)
    assert (line.slope, line.intercept) == pytest.approx((1.5, 2))


def test_limits_of_agreement_by_hand():
    first, second = (
        np.array([10.0, 20.0, 30.0, 40.0]),
        np.array([11.0, 19.0, 33.0, 41.0]),
    )
    limits = limits_of_agreement(first, second)  # differences 1, -1, 3, 1
    spread = math.sqrt(8 / 3)
    assert limits.bias == 1
    assert limits.high == pytest.approx(1 + 1.959964 * spread)
    assert limits.bias_interval[1] == pytest.approx(1 + t.ppf(0.975, 3) * spread / 2)
    error = spread * math.sqrt(1 / 4 + 1.959964**2 / 6)
    assert limits.high_interval[0] == pytest.approx(
        limits.high - t.ppf(0.975, 3) * error
    )


def test_too_few_or_too_equal_cases_have_no_line():
    few = np.arange(FEWEST_LINE - 1.0)
    assert passing_bablok(few, few) is None
    assert passing_bablok(np.zeros(20), np.zeros(20)) is None
    rising = np.arange(20.0)
    assert passing_bablok(rising, -2 * rising) is None
    with pytest.raises(ValueError, match="cases"):
        limits_of_agreement(few[:2], few[:2])
