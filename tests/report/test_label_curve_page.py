"""Laws of the page of learning curves: whole, escaped, with the JSON's numbers."""

import re

import pytest

from bmjax.report.label_curve_page import (
    curve_figure,
    page_contents,
    places,
    spread_of,
    values_of,
    write_label_curves,
)
from tests.helpers.report_pages import HOSTILE, Page

PER_CLASS = [5, 50, "all"]


def _result(per_class, draw, classifier, value):
    scores = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1"), value)
    fit = {"strength": 0.1, "chosen_on": 10, "converged": True}
    fit |= {"iterations": 9, "relative_gradient": 1e-4}
    own = fit if classifier == "logistic" else {}
    where = {"per_class": per_class, "draw": draw, "classifier": classifier}
    return where | scores | own


def _system(name, gain, labels="none"):
    results = [
        _result(count, draw, classifier, 0.3 + 0.1 * place + 0.01 * draw + gain * draw)
        for place, count in enumerate(PER_CLASS)
        for draw in ((1,) if count == "all" else (1, 2, 3))
        for classifier in ("logistic", "nearest")
    ]
    about = {"network": "resnet18", "features": "computed", "width": 512}
    training = {"labels": labels, "training": "with the labels of all 99 images"}
    return {"name": name, "results": results} | about | training


@pytest.fixture
def stored():
    return {
        "data_fingerprint": "f" * 64,
        "split": "kfold",
        "fold": 0,
        "split_digest": "d" * 64,
        "classes": ["A", "B"],
        "n_train": 1234,
        "n_test": 99,
        "seed": 0,
        "draws": 3,
        "per_class": PER_CLASS,
        "strengths": [0.01, 0.1, 1.0],
        "labeled": [
            {"per_class": 5, "images": 10, "short_classes": []},
            {"per_class": 50, "images": 70, "short_classes": ["B"]},
            {"per_class": "all", "images": 1234, "short_classes": []},
        ],
        "systems": [_system("swav", 0.0), _system(HOSTILE, 0.005, "all")],
    }


def test_page_is_whole_and_fetches_nothing_and_names_are_escaped(stored, tmp_path):
    text = write_label_curves(tmp_path, stored).read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    assert "<img src=x" not in text
    assert not re.search(r"@import|url\(|https?://", text)
    assert write_label_curves(tmp_path, stored).read_text("utf-8") == text


def test_differences_are_taken_draw_by_draw(stored):
    (title, _, rows), *_ = page_contents(stored)["differences"]
    assert title == "Accuracy"
    ((number, name, cells),) = rows
    assert (number, name) == (1, HOSTILE)
    assert cells[0] == ("+0.010 ± 0.005", "ahead in 3 of 3")
    assert cells[2] == ("+0.005", "")  # "all" is one draw


def test_means_and_deviations_are_of_the_draws(stored):
    values = values_of(stored["systems"][0], "logistic", "accuracy", 5)
    assert values == pytest.approx([0.31, 0.32, 0.33])
    assert spread_of(values) == pytest.approx((0.32, 0.31, 0.33, 0.01))
    (_, _, rows), *_ = page_contents(stored)["numbers"]
    assert rows[0][2][0] == ("0.320", "± 0.010")
    assert rows[1][1] == "swav, nearest neighbor"


def test_counts_stand_on_a_logarithmic_scale_and_all_at_the_end():
    five, ten, twenty, everything = places([5, 10, 20, "all"])
    assert twenty - ten == pytest.approx(ten - five)
    assert five < ten < twenty < everything < 1
    assert places(["all"]) == [pytest.approx(0.95)]
    assert places([5]) == [pytest.approx(0.5)]
    assert places([5, 50])[1] == pytest.approx(0.95)


def test_a_system_that_knew_labels_is_warned_of_and_no_other(stored):
    warnings = page_contents(stored)["warnings"]
    assert len(warnings) == 1
    assert warnings[0].startswith(HOSTILE)


def test_figures_hold_every_system_and_a_single_one_has_no_differences(stored):
    drawing = curve_figure(stored, "macro_f1", "Macro F1")
    assert drawing.count('class="mark s0"') == drawing.count('class="mark s1"') == 3
    assert drawing.count('class="interval s0"') == 2  # "all" has no range
    assert drawing.count("stroke-dasharray") == 2
    stored["systems"] = stored["systems"][:1]
    assert page_contents(stored)["differences"] == []
