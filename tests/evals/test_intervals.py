"""Intervals and paired tests against enumeration, loops and hand-worked numbers."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from bmjax.evals.confusion import Counts, averages, confusion_matrix
from bmjax.evals.intervals import (
    bootstrap,
    bootstrap_counts,
    clopper_pearson,
    mcnemar,
    paired_bootstrap,
)
from tests.conftest import GOLDEN


def accuracy(confusion):
    """The first of AVERAGES."""
    return averages(confusion)[..., 0]


def macro_f1(confusion):
    """The third of AVERAGES."""
    return averages(confusion)[..., 2]


METRICS = np.load(GOLDEN / "metrics.npz")
RANDOM = np.random.Generator(np.random.PCG64(0))


def test_clopper_pearson_is_scipys_and_the_published_one():
    low, high = clopper_pearson(np.array([2, 0]), np.array([2, 2]))
    # ABE in the paper's SwAV and SupCon: two of two, none of two.
    np.testing.assert_allclose(low, [0.1581, 0], atol=1e-4)
    np.testing.assert_allclose(high, [1, 0.8419], atol=1e-4)
    for right, trials in [(0, 5), (3, 7), (7, 7), (240, 1000)]:
        known = binomtest(right, trials).proportion_ci(0.9, "exact")
        np.testing.assert_allclose(
            clopper_pearson(right, trials, level=0.9), [known.low, known.high]
        )


def test_clopper_pearson_covers_by_enumeration():
    for trials, share in itertools.product((1, 2, 9, 20), (0.01, 0.1, 0.3, 0.5, 0.97)):
        right = np.arange(trials + 1)
        low, high = clopper_pearson(right, trials)
        inside = (low <= share) & (share <= high)
        assert binom.pmf(right, trials, share)[inside].sum() >= 0.95


def test_no_trials_say_nothing():
    low, high = clopper_pearson(np.array([0, 0]), np.array([0, 4]))
    assert (low[0], high[0]) == (0, 1)
    assert high[1] < 1


def test_the_bootstrap_is_a_loop_over_drawn_images():
    labels = RANDOM.choice(4, 300, p=[0.6, 0.3, 0.08, 0.02])
    predicted = np.where(RANDOM.random(300) < 0.7, labels, RANDOM.integers(0, 4, 300))
    matrix = confusion_matrix(labels, predicted, 4)
    found = np.array(bootstrap(matrix, averages, draws=4000))[:, :4]
    naive = []
    for _ in range(4000):
        rows = RANDOM.integers(0, 300, 300)
        naive.append(averages(confusion_matrix(labels[rows], predicted[rows], 4))[:4])
    known = np.quantile(naive, [0.025, 0.975], axis=0)
    # Two samples of 4000: ends agree to a tenth of the interval's width.
    assert np.all(np.abs(found - known) < 0.1 * (known[1] - known[0]))


def test_the_bootstrap_does_not_depend_on_how_draws_are_blocked(monkeypatch):
    matrix = RANDOM.integers(0, 9, (3, 3))
    whole = bootstrap(matrix, macro_f1, draws=50, seed=3)
    monkeypatch.setattr("bmjax.evals.intervals._BLOCK", 63)  # seven draws
    assert bootstrap(matrix, macro_f1, draws=50, seed=3) == whole


def test_a_class_that_a_draw_leaves_out_is_not_in_its_average():
    matrix = np.diag([50, 1])
    matrix[1] = [1, 0]  # one image of the second class, called the first
    low, high = bootstrap(matrix, macro_f1, draws=500)
    assert high == 1.0  # without it, all is right
    assert low < 0.5


def test_the_paired_bootstrap_draws_the_same_images_for_both():
    labels = RANDOM.integers(0, 4, 400)
    good = np.where(RANDOM.random(400) < 0.9, labels, 0)
    poor = np.where(RANDOM.random(400) < 0.5, labels, 0)
    difference, low, high = paired_bootstrap(accuracy, labels, good, poor, draws=300)
    assert difference == pytest.approx(
        np.mean(good == labels) - np.mean(poor == labels)
    )
    assert 0 < low < difference < high
    _, low, high = paired_bootstrap(macro_f1, labels, good, good, draws=50)
    assert (low, high) == (0, 0)


def test_the_paired_bootstrap_is_a_loop_over_drawn_images():
    labels = RANDOM.choice(3, 200, p=[0.6, 0.3, 0.1])
    first = np.where(RANDOM.random(200) < 0.8, labels, 0)
    second = np.where(RANDOM.random(200) < 0.7, labels, 1)
    found = np.array(paired_bootstrap(macro_f1, labels, first, second, draws=4000))
    naive = []
    for _ in range(4000):
        rows = RANDOM.integers(0, 200, 200)
        naive.append(
            macro_f1(confusion_matrix(labels[rows], first[rows], 3))
            - macro_f1(confusion_matrix(labels[rows], second[rows], 3))
        )
    known = np.quantile(naive, [0.025, 0.975])
    np.testing.assert_allclose(found[1:], known, atol=0.1 * (known[1] - known[0]))


def test_the_order_of_images_does_not_matter():
    labels = RANDOM.integers(0, 5, 100)
    first, second = RANDOM.integers(0, 5, (2, 100))
    order = RANDOM.permutation(100)
    assert paired_bootstrap(macro_f1, labels, first, second, draws=40) == (
        paired_bootstrap(macro_f1, labels[order], first[order], second[order], draws=40)
    )


def test_macro_f1_is_scikit_learns():
    labels, predicted = METRICS["all_21/y"], METRICS["all_21/y_hat"]
    matrix = confusion_matrix(labels, predicted, 21)
    assert macro_f1(matrix) == pytest.approx(METRICS["all_21/macro_prf"][2])


def test_mcnemar_by_hand():
    labels = np.zeros(10, int)
    first = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    second = np.array([1, 1, 1, 1, 1, 0, 0, 1, 1, 1])
    found = mcnemar(labels, first, second)
    assert (found.first_only, found.second_only) == (5, 1)
    # Six images: as uneven as 5 to 1 or more, (1 + 6 + 6 + 1) of 64 ways.
    assert found.p_value == pytest.approx(14 / 64)
    assert mcnemar(labels, first, first) == (0, 0, 1.0)


def test_the_draws_are_the_same_with_every_release_of_numpy():
    # Of NumPy 2.4: Generator draws other binomial numbers from 2.5 on.
    counts = Counts(np.array([300, 44]), np.array([350, 89]), np.array([340, 61]))
    found = bootstrap_counts(
        counts, lambda drawn: {"recall": drawn.recall.mean(axis=-1)}, draws=100
    )
    np.testing.assert_allclose(
        found["recall"], [0.6115517656500803, 0.7251043338683788], rtol=1e-12
    )
    low, high = bootstrap(np.array([[900, 20], [30, 50]]), macro_f1, draws=100)
    np.testing.assert_allclose(
        (low, high), [0.773809637794174, 0.8569667417413845], rtol=1e-12
    )
