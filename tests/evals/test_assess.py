"""All figures of a system together: parity, what is absent, what two systems share."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bmjax.errors import DataError
from bmjax.evals.assess import assess, compare
from bmjax.evals.classification import classification_metrics, roc_auc, thirds
from bmjax.evals.predictions import Predictions
from tests.conftest import GOLDEN

METRICS = np.load(GOLDEN / "metrics.npz")
RANDOM = np.random.Generator(np.random.PCG64(0))


def system(count=300, classes=5, skill=3.0, source="a.csv", labels=None):
    if labels is None:
        labels = RANDOM.choice(classes, count, p=np.arange(1, classes + 1) / 15)
    scores = RANDOM.standard_normal((len(labels), classes))
    scores[np.arange(len(labels)), labels] += skill
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Predictions(
        paths=tuple(f"{i}.png" for i in range(len(labels))),
        classes=tuple("ABCDE"[:classes]),
        labels=labels,
        predicted=probabilities.argmax(axis=1),
        probabilities=probabilities.astype(np.float32),
        source=source,
    )


@pytest.mark.parametrize("case", ["all_21", "long_tail_11", "ties_argmax_first"])
def test_the_area_under_the_curve_is_the_authors(case):
    labels, scores = METRICS[f"{case}/y"], METRICS[f"{case}/y_score"]
    mean, areas = roc_auc(labels, scores)
    assert mean == pytest.approx(float(METRICS[f"{case}/roc_auc_ovr_macro"]))
    for number, area in enumerate(areas):
        assert area == pytest.approx(roc_auc_score(labels == number, scores[:, number]))


def test_an_absent_class_has_no_area():
    labels = np.array([0, 0, 2, 2])
    scores = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0, 0, 1]])
    assert roc_auc(labels, scores) == (pytest.approx((0.75 + 1) / 2), [0.75, None, 1.0])
    assert roc_auc(np.zeros(4, int), scores) == (None, [None] * 3)


def test_confusion_and_report_are_the_authors():
    labels, predicted = METRICS["all_21/y"], METRICS["all_21/y_hat"]
    names = tuple(f"c{i}" for i in range(21))
    paths = tuple(map(str, range(len(labels))))
    found = assess(Predictions(paths, names, labels, predicted, None), draws=20)
    np.testing.assert_array_equal(found["confusion"], METRICS["all_21/confusion"])
    assert found["weighted_f1"] == pytest.approx(METRICS["all_21/report_weighted"][2])
    assert found["roc_auc"] is None
    assert found["calibration"] is None


def test_what_is_assessed_is_json_and_holds_the_plain_figures():
    predictions = system()
    found = assess(predictions, train_counts=dict.fromkeys("ABCDE", 9), draws=50)
    json.dumps(found, allow_nan=False)
    plain = classification_metrics(
        predictions.labels, predictions.predicted, predictions.classes
    )
    for name, value in plain.items():
        if name != "per_class":
            assert found[name] == value
            low, high = found["intervals"][name] or (value, value)
            assert value is None or low <= value <= high
    for entry, known in zip(found["per_class"], plain["per_class"], strict=True):
        assert entry.items() >= known.items()
        for name in ("recall", "precision", "f1"):
            low, high = entry[f"{name}_interval"]
            assert low <= entry[name] <= high


def test_f1_of_two_of_two_is_not_sure():
    labels = np.repeat([0, 1], [2, 50])
    found = assess(
        Predictions(tuple(map(str, range(52))), ("ABE", "LYT"), labels, labels, None),
        draws=20,
    )
    entry = found["per_class"][0]
    assert entry["recall_interval"] == pytest.approx([0.1581, 1], abs=1e-4)
    assert entry["f1_interval"] == pytest.approx([2 * 0.1581 / 1.1581, 1], abs=1e-4)
    assert found["intervals"]["accuracy"] == pytest.approx([0.025 ** (1 / 52), 1])
    assert found["rare"] == ["ABE"]


def test_an_absent_class_is_absent_everywhere():
    predictions = system()
    kept = np.flatnonzero(predictions.labels != 0)
    part = predictions._replace(
        paths=tuple(predictions.paths[i] for i in kept),
        labels=predictions.labels[kept],
        predicted=predictions.predicted[kept],
        probabilities=predictions.probabilities[kept],
    )
    found = assess(part, train_counts=dict(zip("ABCDE", range(5), strict=True)))
    assert found["absent"] == ["A"]
    assert found["roc_auc"]["per_class"]["A"] is None
    assert found["calibration"]["classwise_ece_per_class"]["A"] is None
    assert found["per_class"][0]["recall"] is None
    assert found["per_class"][0]["f1_interval"] is None
    # The tail is A alone: nothing can be said of it.
    assert found["by_frequency"]["tail"]["classes"] == ["A"]
    assert found["by_frequency"]["tail"]["recall"] is None
    assert found["by_frequency"]["tail"]["f1_interval"] is None


def test_recall_and_f1_by_frequency_are_means_over_thirds():
    predictions = system()
    counts = dict(zip("ABCDE", (50, 10, 40, 30, 20), strict=True))
    found = assess(predictions, train_counts=counts, draws=20)
    assert thirds("ABCDE", counts) == {
        "head": ["A", "C"],
        "middle": ["D", "E"],
        "tail": ["B"],
    }
    entries = {entry["abbreviation"]: entry for entry in found["per_class"]}
    for third, members in thirds("ABCDE", counts).items():
        for name in ("recall", "f1"):
            known = np.mean([entries[member][name] for member in members])
            assert found["by_frequency"][third][name] == pytest.approx(known)


def test_training_counts_that_lack_a_class_are_refused():
    with pytest.raises(DataError, match="the training counts lack E"):
        assess(system(), train_counts=dict.fromkeys("ABCD", 9))


def test_the_order_of_images_does_not_matter():
    predictions = system()
    order = RANDOM.permutation(300)
    other = predictions._replace(
        paths=tuple(predictions.paths[i] for i in order),
        labels=predictions.labels[order],
        predicted=predictions.predicted[order],
        probabilities=predictions.probabilities[order],
    )
    one, two = assess(predictions, draws=30), assess(other, draws=30)
    assert one["intervals"] == two["intervals"]
    assert one["per_class"] == two["per_class"]
    assert one["roc_auc"]["macro"] == pytest.approx(two["roc_auc"]["macro"])


def test_two_systems_on_the_same_images():
    good = system(source="good.csv")
    poor = system(skill=1.0, source="poor.csv", labels=good.labels)
    found = compare(good, poor, names=("good", "poor"), draws=200)
    json.dumps(found, allow_nan=False)
    for name, figures in found["metrics"].items():
        known = [
            classification_metrics(s.labels, s.predicted, s.classes)[name]
            for s in (good, poor)
        ]
        assert [figures["first"], figures["second"]] == known
        assert figures["difference"] == pytest.approx(known[0] - known[1])
        assert 0 < figures["interval"][0] < figures["interval"][1]
    assert found["mcnemar"]["p_value"] < 1e-6
    assert found["decided_by"]["sentence"].startswith("good leads poor")
    back = compare(poor, good, names=("poor", "good"), draws=200)
    assert back["decided_by"]["sentence"] == found["decided_by"]["sentence"]


def test_a_class_that_nobody_names_is_compared_too():
    labels = np.array([0, 0, 1, 1])
    paths = ("a", "b", "c", "d")
    one = Predictions(paths, ("A", "B", "C"), labels, labels, None)
    other = Predictions(paths, ("A", "B"), labels, labels[::-1], None)
    assert compare(one, other, draws=20)["metrics"]["accuracy"]["difference"] == 1.0
