"""Few labels: the same images for all systems, and nothing but their labels."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from threadpoolctl import threadpool_limits

from bmjax.evals import label_curves
from bmjax.evals.label_curves import (
    STRENGTHS,
    SplitFeatures,
    choose_strength,
    drawn_order,
    feature_scale,
    fit_few_labels,
    judge_labeled,
    labeled_rows,
    rows_digest,
    stratified_folds,
)
from bmjax.evals.linear_probe import apply_linear

CLASSES = ("EBO", "LYT", "NGS")
SUPPORT = (40, 3, 60)


@pytest.fixture(autouse=True)
def one_thread():
    """For scikit-learn, whose products here are small too."""
    with threadpool_limits(limits=1):
        yield


def _labels():
    return np.repeat(np.arange(3), SUPPORT)


@pytest.fixture(scope="module")
def data():
    random = np.random.Generator(np.random.PCG64(0))
    centers = random.standard_normal((3, 8))

    def part(labels):
        noise = random.standard_normal((len(labels), 8))
        return (5 + 3 * (0.7 * centers[labels] + noise)).astype(np.float32)

    test = np.repeat(np.arange(3), (30, 10, 30))
    train = _labels()
    return SplitFeatures(part(train), part(test), train, test, CLASSES)


def test_a_draw_of_more_images_holds_those_of_the_draws_of_fewer():
    order = drawn_order(_labels(), CLASSES, seed=0, draw=1)
    few, more, all_of_them = (labeled_rows(order, k) for k in (2, 10, None))
    assert set(few) < set(more) < set(all_of_them)
    assert all_of_them.tolist() == list(range(len(_labels())))
    assert np.bincount(_labels()[few]).tolist() == [2, 2, 2]
    assert np.bincount(_labels()[more]).tolist() == [10, 3, 10]  # three are all it has


def test_draws_differ_and_depend_on_the_class_and_the_seed_alone():
    labels = _labels()
    first = drawn_order(labels, CLASSES, seed=0, draw=1)
    again = drawn_order(labels, CLASSES, seed=0, draw=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, draw in ((0, 2), (1, 1)):
        other = drawn_order(labels, CLASSES, seed=seed, draw=draw)
        assert not np.array_equal(first[2], other[2])
    # Without the first class the others' images are drawn as before.
    fewer = drawn_order(labels[40:] - 1, CLASSES[1:], seed=0, draw=1)
    np.testing.assert_array_equal(fewer[1] + 40, first[2])


def test_what_is_drawn_is_the_same_in_every_python_and_numpy():
    order = drawn_order(_labels(), CLASSES, seed=0, draw=1)
    drawn = [each[:3].tolist() for each in order]
    assert drawn == [[29, 17, 24], [41, 40, 42], [101, 52, 77]]


def test_a_digest_is_of_the_images_whatever_their_order():
    paths = [f"A/{i}.jpg" for i in range(5)]
    assert rows_digest(paths, np.array([3, 1])) == rows_digest(paths, np.array([1, 3]))
    assert rows_digest(paths, np.array([3, 1])) != rows_digest(paths, np.array([3, 2]))


def test_each_image_is_held_out_once_and_the_only_one_of_a_class_never():
    labels = np.array([0] * 7 + [1] * 2 + [2] + [3] * 5)
    folds = stratified_folds(labels)
    assert folds[labels == 2].tolist() == [-1]
    assert set(folds[labels != 2]) == set(range(5))
    for fold in range(5):
        assert set(labels[folds != fold]) == {0, 1, 2, 3}
        assert 1 <= (folds[labels == 0] == fold).sum() <= 2
    assert np.ptp(np.bincount(folds[folds >= 0])) <= 1


def test_it_is_scikit_learns_logistic_regression_on_standardized_features(data):
    rows = labeled_rows(drawn_order(_labels(), CLASSES, seed=0, draw=1), 10)
    scale = feature_scale(data.train)
    np.testing.assert_allclose(scale[0], data.train.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scale[1], data.train.std(axis=0), rtol=1e-5)
    labels = data.train_labels
    fit, choice = fit_few_labels(
        data.train, labels, rows, scale=scale, classes=3, seed=0
    )
    assert fit.converged
    assert fit.gradient < 1e-2
    assert fit.images == len(rows)
    train, test = ((x - scale[0]) / scale[1] for x in (data.train, data.test))
    known = LogisticRegression(C=choice.strength, max_iter=1000, tol=1e-6)
    known.fit(train[rows].astype(float), labels[rows])
    np.testing.assert_allclose(
        apply_linear(fit.linear, data.test), known.predict_proba(test), atol=5e-3
    )
    found = judge_labeled(data, rows, scale=scale, seed=0)["logistic"]
    predicted = known.predict(test)
    assert found["strength"] == choice.strength
    for name, score in (
        ("accuracy", accuracy_score(data.test_labels, predicted)),
        ("balanced_accuracy", balanced_accuracy_score(data.test_labels, predicted)),
        ("macro_f1", f1_score(data.test_labels, predicted, average="macro")),
    ):
        assert found[name] == pytest.approx(score, abs=0.03)


def test_the_strength_is_the_one_that_validation_on_the_labeled_images_prefers(data):
    rows = labeled_rows(drawn_order(_labels(), CLASSES, seed=0, draw=1), 10)
    mean, std = feature_scale(data.train)
    features, labels = (data.train[rows] - mean) / std, data.train_labels[rows]
    choice = choose_strength(features, labels, classes=3)
    losses = []
    folds = stratified_folds(labels)
    for strength in STRENGTHS:
        known = LogisticRegression(C=strength, max_iter=2000, tol=1e-7)
        total = 0.0
        for fold in range(5):
            known.fit(features[folds != fold].astype(float), labels[folds != fold])
            shares = known.predict_log_proba(features[folds == fold])
            total -= shares[np.arange(len(shares)), labels[folds == fold]].sum()
        losses.append(total)
    assert choice.strength == STRENGTHS[int(np.argmin(losses))]
    assert choice.images == len(rows)


def test_with_one_image_a_class_nothing_is_chosen(data):
    rows = labeled_rows(drawn_order(_labels(), CLASSES, seed=0, draw=1), 1)
    found = judge_labeled(data, rows, scale=feature_scale(data.train), seed=0)
    assert found["logistic"]["chosen_on"] == 0
    assert found["logistic"]["accuracy"] > 0


def test_no_label_but_those_drawn_is_looked_at(data):
    rows = labeled_rows(drawn_order(_labels(), CLASSES, seed=0, draw=1), 5)
    scale = feature_scale(data.train)
    hidden = np.zeros_like(data.train_labels)
    hidden[rows] = data.train_labels[rows]
    assert judge_labeled(data, rows, scale=scale, seed=0) == judge_labeled(
        data._replace(train_labels=hidden), rows, scale=scale, seed=0
    )


def test_test_labels_choose_nothing(data):
    rows = labeled_rows(drawn_order(_labels(), CLASSES, seed=0, draw=1), 5)
    scale = feature_scale(data.train)
    other = data._replace(test_labels=data.test_labels[::-1].copy())
    ours, theirs = (
        judge_labeled(each, rows, scale=scale, seed=0)["logistic"]
        for each in (data, other)
    )
    for key in ("strength", "iterations", "relative_gradient"):
        assert ours[key] == theirs[key]


def test_of_many_labeled_images_some_choose_the_strength(data, monkeypatch):
    monkeypatch.setattr(label_curves, "MOST_TO_CHOOSE", 30)
    rows = labeled_rows(drawn_order(_labels(), CLASSES, seed=0, draw=1), None)
    found = judge_labeled(data, rows, scale=feature_scale(data.train), seed=0)
    assert found["logistic"]["chosen_on"] < 40
    assert found["nearest"]["accuracy"] > 0.4
