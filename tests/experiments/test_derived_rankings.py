"""What the published figures imply: averages, intervals, and what decides rankings."""

import itertools

import numpy as np
import pytest

from bmjax.evals.class_counts import (
    CLASS_METRICS,
    class_averages,
    intervals_of_averages,
)
from bmjax.evals.confusion import Counts, metrics_of_counts
from bmjax.evals.ranking import decisive_classes
from experiments.tables.paper import published_table, rare_classes


@pytest.fixture(scope="module")
def table4():
    return published_table("table4")


@pytest.mark.parametrize(
    ("figure", "swav", "supcon"),
    [
        ("macro_f1", 0.7316, 0.6902),
        ("macro_f1_without_ABE", 0.7182, 0.7247),
        ("accuracy", 29_395 / 34_281, 29_750 / 34_281),
        ("weighted_f1", 0.8554, 0.8659),
        ("macro_precision", 0.7767, 0.7473),
        ("macro_recall", 0.7018, 0.6575),
    ],
)
def test_the_averages_of_table_4(table4, figure, swav, supcon):
    systems = table4["systems"]
    assert systems["swav"][figure] == pytest.approx(swav, abs=5.1e-5)
    assert systems["supcon"][figure] == pytest.approx(supcon, abs=5.1e-5)


def test_without_every_class_under_20_test_cells_supcon_leads(table4):
    assert rare_classes() == ("ABE", "FGC", "KSC", "LYI")
    found = [table4["systems"][key]["macro_f1_without_rare"] for key in SYSTEMS]
    assert [round(value, 3) for value in found] == [0.772, 0.783]


SYSTEMS = ("swav", "supcon")


def test_two_of_two_and_none_of_two_have_their_exact_intervals(table4):
    recalls = [
        table4["systems"][key]["per_class"][0]["recall_interval"] for key in SYSTEMS
    ]
    np.testing.assert_allclose(recalls, [[0.158, 1], [0, 0.842]], atol=5e-4)


def test_every_class_lies_in_its_exact_intervals(table4):
    for key in SYSTEMS:
        for entry in table4["systems"][key]["per_class"]:
            for metric in CLASS_METRICS:
                # None: of precision, where nothing is predicted as the class.
                if (ends := entry[f"{metric}_interval"]) is not None:
                    assert ends[0] <= entry[metric] <= ends[1]


@pytest.mark.parametrize("name", ["table2", "table3", "table4"])
def test_every_interval_holds_its_figure_and_is_the_same_each_time(name):
    first, again = published_table(name), published_table(name)
    assert first == again
    for system in first["systems"].values():
        for figure, (low, high) in system["intervals"].items():
            assert low < system[figure] < high


def test_two_images_of_abe_put_swav_before_supcon(table4):
    (entry,) = (
        e
        for e in table4["decided_by"]
        if (e["average"], e["second"]) == ("macro_f1", "supcon")
    )
    assert (entry["leader"], entry["images"], entry["classes"]) == ("swav", 2, ["ABE"])
    assert entry["lost_by_class"] == {"ABE": 2}
    without = entry["without"]
    assert [round(without[key], 4) for key in SYSTEMS] == [0.7182, 0.7247]


def test_by_accuracy_supcon_leads_by_355_images(table4):
    entry = next(e for e in table4["decided_by"] if e["average"] == "accuracy")
    assert (entry["leader"], entry["second"], entry["images"]) == (
        "supcon",
        "swav",
        355,
    )


def test_eight_images_of_abe_put_no_mixup_before_mixup():
    document = published_table("table3")
    entry = document["decided_by"][0]
    assert (entry["leader"], entry["second"]) == ("resnext50", "resnext50_mixup")
    assert (entry["images"], entry["classes"]) == (8, ["ABE"])
    assert entry["without"]["resnext50"] < entry["without"]["resnext50_mixup"]
    known = {"resnext50": (0.8473, 0.8507), "resnext50_mixup": (0.8466, 0.8511)}
    for key, (accuracy, weighted) in known.items():
        assert document["systems"][key]["accuracy"] == pytest.approx(accuracy, abs=1e-4)
        assert document["systems"][key]["weighted_f1"] == pytest.approx(
            weighted, abs=1e-4
        )


def test_what_cannot_be_known_is_none_and_said():
    system = published_table("table2")["systems"]["resnext50"]
    assert system["accuracy"] is None
    assert system["intervals"] == {}
    assert system["notes"]
    baseline = published_table("table2")["systems"]["baseline"]
    assert baseline["approximate"]
    assert baseline["macro_f1"] == pytest.approx(0.5451, abs=5e-5)
    assert baseline["accuracy"] == pytest.approx(0.726, abs=5e-4)


def test_the_smallest_turn_is_that_of_all_subsets():
    random = np.random.default_rng(0)
    for _ in range(30):
        gains, images = random.normal(0.05, 1, 7), random.integers(1, 50, 7)
        best = [
            images[list(chosen)].sum()
            for size in range(8)
            for chosen in itertools.combinations(range(7), size)
            if gains.sum() - gains[list(chosen)].sum() < 0
        ]
        found = decisive_classes(gains, images)
        if gains.sum() <= 0:
            assert not found.any()
        elif not (gains < 0).any():
            assert found is None
        else:
            assert images[found].sum() == min(best)
            assert gains[~found].sum() < 0


def test_a_class_without_images_is_absent_and_not_zero():
    counts = Counts(np.array([5, 0, 0]), np.array([10, 0, 4]), np.array([5, 1, 0]))
    names = ("BLA", "ABE", "LYT")
    found = class_averages(metrics_of_counts(*counts), names, {})
    assert found["macro_recall"] == pytest.approx((0.5 + 0) / 2)
    assert found["accuracy"] == pytest.approx(5 / 14)
    assert set(found) == set(intervals_of_averages(counts, names, {}))


def test_the_bootstrap_is_as_wide_as_the_binomial():
    right, images = np.array([60, 150]), np.array([100, 200])
    called = np.array([110, 190])
    counts = Counts(right, images, called)
    low, high = intervals_of_averages(counts, ("A", "B"), {})["macro_recall"]
    variance = (0.6 * 0.4 / 100 + 0.75 * 0.25 / 200) / 2**2
    assert high - low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.1)
