"""Probes, figures and intervals against scikit-learn and recorded numbers."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from bmjax.evals.classification import classification_metrics, f1_by_frequency
from bmjax.evals.knn_probe import knn_probabilities
from bmjax.evals.linear_probe import apply_linear, fit_linear
from bmjax.evals.tsne import embed_2d
from tests.conftest import GOLDEN

METRICS = np.load(GOLDEN / "metrics.npz")
RANDOM = np.random.Generator(np.random.PCG64(0))
SGD = {
    "epochs": 30,
    "batch_size": 32,
    "learning_rate": 0.3,
    "momentum": 0.9,
    "weight_decay": 1e-6,
    "sampling": "natural",
    "seed": 0,
}


def clusters(count, scale=1.0):
    labels = np.arange(count) % 3
    centers = 4 * np.eye(3, 8)[labels]
    features = scale * (centers + RANDOM.standard_normal((count, 8)) + 2)
    return features.astype(np.float32), labels


@pytest.mark.parametrize(
    "case", ["all_21", "long_tail_11", "ties_argmax_first", "perfect"]
)
def test_figures_agree_with_the_authors_metrics(case):
    labels, predicted = METRICS[f"{case}/y"], METRICS[f"{case}/y_hat"]
    count = len(METRICS[f"{case}/f1"])
    found = classification_metrics(labels, predicted, [f"c{i}" for i in range(count)])
    for name in ("precision", "recall", "f1"):
        values = [entry[name] for entry in found["per_class"]]
        np.testing.assert_allclose(values, METRICS[f"{case}/{name}"], rtol=1e-9)
    assert found["macro_f1"] == pytest.approx(METRICS[f"{case}/macro_prf"][2])
    assert found["accuracy"] == pytest.approx(float(METRICS[f"{case}/accuracy"]))


def test_an_absent_class_is_absent_and_not_zero():
    labels, predicted = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
    found = classification_metrics(labels, predicted, ["AAA", "BBB", "CCC"])
    assert found["per_class"][1] == {
        "abbreviation": "BBB",
        "name": "BBB",
        "support": 0,
        "precision": None,
        "recall": None,
        "f1": None,
    }
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["balanced_accuracy"] == pytest.approx(0.75)
    assert found["macro_f1_without_rare"] is None


def test_rare_classes_are_left_out_of_their_own_average():
    labels = np.repeat([0, 1, 2], [30, 25, 3])
    predicted = np.where(labels == 2, 0, labels)
    found = classification_metrics(labels, predicted, ["AAA", "BBB", "CCC"])
    f1 = [entry["f1"] for entry in found["per_class"]]
    assert found["macro_f1"] == pytest.approx(np.mean(f1))
    assert found["macro_f1_without_rare"] == pytest.approx(np.mean(f1[:2]))


def test_neighbors_agree_with_scikit_learn(monkeypatch):
    monkeypatch.setattr("bmjax.evals.knn_probe._TRAIN_BLOCK", 64)
    monkeypatch.setattr("bmjax.evals.knn_probe._TEST_BLOCK", 32)
    train, train_labels = clusters(150)
    test, _ = clusters(50)
    found = knn_probabilities(train, train_labels, test, classes=3, neighbors=(1, 7))
    for k, shares in found.items():
        known = KNeighborsClassifier(k, metric="cosine").fit(train, train_labels)
        np.testing.assert_allclose(shares, known.predict_proba(test), atol=2e-3)
        np.testing.assert_allclose(shares.sum(axis=1), np.ones(50), rtol=1e-6)


def test_more_neighbors_than_images_are_all_images():
    train, labels = clusters(9)
    shares = knn_probabilities(train, labels, train, classes=3, neighbors=(20,))[20]
    np.testing.assert_allclose(shares, np.full((9, 3), 1 / 3), atol=2e-3)


def test_the_linear_probe_separates_what_is_separable_at_any_scale():
    for scale in (1e-3, 1.0, 1e3):
        train, labels = clusters(120, scale)
        test, truth = clusters(60, scale)
        linear = fit_linear(train, labels, classes=3, standardize=True, **SGD)
        shares = apply_linear(linear, test)
        assert np.mean(shares.argmax(axis=1) == truth) > 0.95
        np.testing.assert_allclose(shares.sum(axis=1), np.ones(60), rtol=1e-5)


def test_the_linear_probe_learns_nothing_from_shuffled_labels():
    train, labels = clusters(300)
    test, truth = clusters(300)
    shuffled = RANDOM.permutation(labels)
    linear = fit_linear(train, shuffled, classes=3, standardize=True, **SGD)
    assert np.mean(apply_linear(linear, test).argmax(axis=1) == truth) < 0.6


def test_the_map_keeps_every_class_and_neighbors_together():
    features, labels = clusters(120)
    rows, places = embed_2d(features, labels, images=60, perplexity=10.0, seed=0)
    assert set(labels[rows]) == {0, 1, 2}
    centers = np.stack([places[labels[rows] == c].mean(axis=0) for c in range(3)])
    nearest = np.linalg.norm(places[:, None] - centers[None], axis=2).argmin(axis=1)
    assert np.mean(nearest == labels[rows]) > 0.9


@pytest.mark.parametrize("noise", [0, 1e-8, np.nan])
def test_features_that_are_all_the_same_have_one_place(noise):
    features = np.full((20, 8), 3.0) + noise * np.arange(20.0).reshape(20, 1)
    rows, places = embed_2d(
        features, np.repeat([0, 1], 10), images=20, perplexity=5.0, seed=0
    )
    assert len(rows) == 20
    assert not places.any()


def test_f1_by_frequency_takes_thirds_by_training_images():
    f1 = {"a": 0.9, "b": 0.7, "c": 0.5, "d": None, "e": 0.1, "f": None, "g": 0.3}
    entries = [{"abbreviation": name, "f1": value} for name, value in f1.items()]
    train = {"g": 70, "f": 60, "e": 50, "d": 40, "c": 40, "b": 20, "a": 10}
    found = f1_by_frequency(entries, train)  # g f e, c d, b a
    assert found == pytest.approx({"head": 0.2, "middle": 0.5, "tail": 0.8})
    nothing = [{"abbreviation": name, "f1": None} for name in f1]
    assert f1_by_frequency(nothing, train) == dict.fromkeys(("head", "middle", "tail"))
