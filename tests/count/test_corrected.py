"""Corrected counts: intervals cover, and laws that any correction has."""

import numpy as np
import pytest

from bmjax.count.corrected import (
    FEWEST,
    group_classes,
    mean_and_interval,
    posterior_shares,
    shares_among,
)

GOOD = np.array([[0.95, 0.03, 0.02], [0.03, 0.95, 0.02], [0.02, 0.03, 0.95]])
BLASTS = np.array(
    [
        [0.8, 0.15, 0, 0.05],
        [0.05, 0.93, 0.01, 0.01],
        [0.01, 0.01, 0.97, 0.01],
        [0.06, 0.02, 0.02, 0.9],
    ]
)
POOR = np.full((5, 5), 0.075) + 0.625 * np.eye(5)
SETTINGS = {
    "good": ([0.5, 0.3, 0.2], GOOD, 300),
    "19 % blasts": ([0.19, 0.4, 0.25, 0.16], BLASTS, 80),
    "poor, one class rare": ([0.6, 0.2, 0.12, 0.075, 0.005], POOR, 60),
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_intervals_of_95_percent_cover_so_often(setting):
    """Confusion and case are drawn anew: the interval holds these errors."""
    shares, confusion, validated = SETTINGS[setting]
    shares = np.array(shares)
    random = np.random.default_rng(1)
    cases = 1000
    named = random.multinomial(500, shares @ confusion, size=cases)
    found = np.stack(
        [random.multinomial(validated, row, size=cases) for row in confusion], axis=1
    )
    draws = posterior_shares(named, found, chains=8, burned=350, kept=150)
    _, low, high = mean_and_interval(draws)
    covered = np.mean((low <= shares) & (shares <= high), axis=0)
    # Standard error of a class 0.007 to 0.009; the lowest true coverage is 0.93.
    assert 0.925 <= covered.mean() <= 0.975
    assert covered.min() >= 0.905


def test_a_perfect_classifier_leaves_the_count_as_it_is():
    named = np.array([250, 150, 100])
    draws = posterior_shares(named, 100_000 * np.eye(3, dtype=int), burned=50)
    mean, low, high = mean_and_interval(draws)
    np.testing.assert_allclose(mean, named / 500, atol=0.005)
    assert np.all((low < named / 500) & (named / 500 < high))


def test_a_known_confusion_is_undone():
    shares = np.array([0.1, 0.3, 0.6])
    named = np.rint(20_000 * shares @ GOOD).astype(int)
    draws = posterior_shares(named, np.rint(100_000 * GOOD).astype(int))
    np.testing.assert_allclose(draws.mean(axis=0), shares, atol=0.01)
    assert abs(named[0] / named.sum() - 0.1) > 0.01  # what is named is not so


def test_fewer_validation_cells_give_wider_intervals():
    named = np.array([250, 150, 100])
    widths = []
    for cells in (2000, 40):
        found = np.rint(cells * GOOD).astype(int)
        _, low, high = mean_and_interval(posterior_shares(named, found, burned=100))
        widths.append((high - low).mean())
    assert widths[1] > 1.2 * widths[0]


def test_the_draws_are_the_seeds():
    named, found = np.array([5, 3]), np.array([[9, 1], [2, 8]])
    one, again, other = (
        posterior_shares(named, found, seed=seed, burned=5, kept=5)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(one.sum(axis=-1), 1)


def test_shares_among_what_counts_sum_to_one():
    draws = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    among = shares_among(draws, np.array([True, True, False]))
    np.testing.assert_allclose(among.sum(axis=-1), 1)
    np.testing.assert_allclose(among[0], [0.4, 0.6, 0])


def test_groups_have_enough_cells_and_hold_every_class_once():
    random = np.random.default_rng(0)
    for _ in range(200):
        classes = int(random.integers(1, 12))
        validated = random.integers(0, 60, classes)
        lineages = [str(random.integers(3)) for _ in range(classes)]
        groups = group_classes(validated, lineages)
        members = sorted(i for group in groups for i in group.members)
        assert members == list(range(classes))
        sizes = [validated[list(group.members)].sum() for group in groups]
        if validated.sum() >= FEWEST and max(validated) >= FEWEST:
            assert min(sizes) >= FEWEST
        for group in groups:
            assert validated[group.largest] == validated[list(group.members)].max()
        alone = {group.members[0] for group in groups if len(group.members) == 1}
        joined = {group.largest for group in groups if len(group.members) > 1}
        assert set(np.flatnonzero(validated >= FEWEST)) <= alone | joined
