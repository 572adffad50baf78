"""Sets hold the class, and accepted cells the error, as often as is promised."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from bmjax.evals.abstention import accepting_threshold, risk_coverage
from bmjax.evals.conformal import fewest_cells, prediction_sets, set_thresholds

GOLDEN = Path(__file__).parents[1] / "golden" / "conformal.npz"


def draw(random, count, sharpness=1.5, shares=(0.6, 0.3, 0.1)):
    """Labels, and probabilities of a system that is too sure of itself."""
    labels = random.choice(len(shares), count, p=shares)
    scores = random.normal(size=(count, len(shares)))
    scores[np.arange(count), labels] += 1.2
    weights = np.exp(sharpness * scores)
    return labels, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("by_class", [False, True])
def test_sets_hold_the_class_as_often_as_asked_for(by_class):
    random = np.random.default_rng(0)
    held, of_rare = [], []
    for _ in range(60):
        labels, shares = draw(random, 300)
        thresholds = set_thresholds(shares, labels, by_class=by_class)
        labels, shares = draw(random, 300)
        holds = prediction_sets(shares, thresholds)[np.arange(300), labels]
        held.append(holds.mean())
        of_rare.append(holds[labels == 2].mean())
    # 18,000 cells and 60 calibrations: standard error 0.003, of the rare class 0.011.
    assert 0.89 <= np.mean(held) <= 0.92
    if by_class:
        assert 0.87 <= np.mean(of_rare) <= 0.96


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("by_class", [False, True])
def test_sets_are_those_of_crepes(by_class, level):
    """Recorded with crepes 0.9.1 (WrapClassifier, class_cond, no smoothing)."""
    archive = np.load(GOLDEN)
    assert np.bincount(archive["labels"])[3] == 6  # too few for 0.9: in every set
    thresholds = set_thresholds(
        archive["probabilities"], archive["labels"], level=level, by_class=by_class
    )
    expected = archive[f"{'class' if by_class else 'all'}_{100 * level:.0f}"]
    assert np.array_equal(prediction_sets(archive["new"], thresholds), expected)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_sets_are_those_of_mapie(level):
    mapie = pytest.importorskip("mapie.classification")
    archive = np.load(GOLDEN)

    class Given(ClassifierMixin, BaseEstimator):
        """Has learned nothing: its probabilities are its inputs."""

        def fit(self, inputs, labels):
            self.classes_ = np.unique(labels)
            return self

        def predict_proba(self, inputs):
            return inputs

        def predict(self, inputs):
            return inputs.argmax(axis=1)

    probabilities, labels = archive["probabilities"].astype(float), archive["labels"]
    given = Given().fit(probabilities, labels)
    oracle = mapie.SplitConformalClassifier(given, confidence_level=level)
    oracle.conformalize(probabilities, labels)
    _, expected = oracle.predict_set(archive["new"].astype(float))
    thresholds = set_thresholds(archive["probabilities"], labels, level=level)
    found = prediction_sets(archive["new"], thresholds)
    assert np.array_equal(found, expected[:, :, 0])


def test_a_class_with_too_few_cells_is_in_every_set():
    assert (fewest_cells(0.9), fewest_cells(0.95)) == (9, 19)
    for count in (8, 9):
        labels = np.array([0] * 50 + [1] * count)
        shares = np.full((len(labels), 2), 0.5)
        thresholds = set_thresholds(shares, labels, by_class=True)
        everywhere = prediction_sets(np.array([[1.0, 0.0]]), thresholds)[0, 1]
        assert everywhere == (count == 8)
    none = set_thresholds(np.zeros((0, 2)), np.zeros(0, int))
    assert np.isinf(none).all()


def test_a_higher_level_gives_larger_sets():
    random = np.random.default_rng(1)
    labels, shares = draw(random, 500)
    small, large = (
        prediction_sets(shares, set_thresholds(shares, labels, level=level))
        for level in (0.8, 0.95)
    )
    assert np.all(large | ~small)
    assert large.sum() > small.sum()


def test_accepted_cells_keep_the_error():
    random = np.random.default_rng(0)
    broken = found = 0
    for _ in range(200):
        labels, shares = draw(random, 800)
        correct = shares.argmax(axis=1) == labels
        threshold = accepting_threshold(shares.max(axis=1), correct, error=0.15)
        if threshold is None:
            continue
        found += 1
        labels, shares = draw(random, 4000)
        accepted = shares.max(axis=1) >= threshold
        wrong = (shares.argmax(axis=1) != labels)[accepted]
        broken += wrong.mean() > 0.15 + 2 * np.sqrt(0.15 * 0.85 / accepted.sum())
    assert found > 100
    assert broken <= 0.05 * found


def test_no_threshold_where_none_will_do_and_all_where_nothing_is_wrong():
    confidence = np.linspace(0.5, 1, 200)
    assert accepting_threshold(confidence, np.zeros(200, bool), error=0.1) is None
    lowest = accepting_threshold(confidence, np.ones(200, bool), error=0.1)
    assert lowest == pytest.approx(0.5)
    assert accepting_threshold(confidence[:0], np.zeros(0, bool), error=0.1) is None


def test_the_curve_ends_at_the_error_of_all_and_begins_with_the_surest():
    confidence, correct = np.array([0.9, 0.6, 0.8]), np.array([True, False, False])
    curve = risk_coverage(confidence, correct)
    np.testing.assert_allclose(curve.threshold, [0.9, 0.8, 0.6])
    np.testing.assert_allclose(curve.risk, [0, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.coverage, [1 / 3, 2 / 3, 1])
