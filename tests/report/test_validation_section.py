"""What a page says of validation images, and that it chose on these alone."""

import json

import pytest

from bmjax.report import write_report
from bmjax.report.comparison_page import write_comparison
from bmjax.report.run_files import read_run_files
from bmjax.report.validation_section import (
    chosen_sentence,
    describe_validation,
    metric_words,
)
from tests.helpers.report_pages import CLASSES, Page, make_run

CHOSEN = {
    "metric": "knn_20/macro_f1",
    "step": 20,
    "value": 0.81234,
    "last_step": 40,
    "last_value": 0.79,
    "candidates": 4,
    "images": 1234,
}
SENTENCE = (
    "Step 20 of 40 was chosen by validation macro F1 of 20-nearest neighbors among 4 "
    "candidates on 1,234 validation images (0.812; the last step, 40, has 0.790)."
)


def validated_run(folder, chosen=CHOSEN, seen_before=0, accuracy=0.75):
    make_run(folder)
    metrics = {"accuracy": accuracy, "balanced_accuracy": 0.5, "macro_f1": 0.25}
    results = json.loads((folder / "results.json").read_text())
    results |= {
        "predictor": "linear",
        "steps": 40,
        "validation": {
            "share": 0.1,
            "images": 1234,
            "counts": {CLASSES[0]: 0, **dict.fromkeys(CLASSES[1:], 100)},
            "seen_before": seen_before,
            "predictors": {"linear": metrics, "knn_20": metrics},
            "chosen": chosen,
        },
    }
    (folder / "results.json").write_text(json.dumps(results))
    with (folder / "metrics.jsonl").open("a") as file:
        for step in (0, 20, 40):
            line = {"step": step, "validation/knn_20/macro_f1": step / 50}
            file.write(json.dumps(line) + "\n")
    return folder


def shown(folder):
    return describe_validation(read_run_files(folder))


def test_the_page_says_what_was_chosen_on_what(tmp_path):
    folder = validated_run(tmp_path / "run")
    page = write_report(folder).read_text()
    assert page.count(SENTENCE) == 2  # below the scores, and in its section
    assert ("h2", "Validation") in Page(page).headings
    assert "1,234 validation images" in page
    found = shown(folder)
    assert found.rows == [
        ["Linear probe", "0.750", "0.500", "0.250"],
        ["20-nearest neighbors", "0.750", "0.500", "0.250"],
    ]
    assert [panel.title for panel in found.panels] == ["20-NN, macro F1"]
    assert found.panels[0].last == "0.812 at 20, last 0.8"
    assert any(f"leave out {CLASSES[0]}, of which" in text for text in found.sentences)
    assert not any("started from" in text for text in found.sentences)


def test_a_run_that_chose_nothing_or_began_with_what_it_knew_says_so(tmp_path):
    found = shown(validated_run(tmp_path / "run", chosen=None, seen_before=7))
    assert found.chosen.startswith("No step was chosen: the state after the last one,")
    assert any("trained on 7 of the validation" in text for text in found.sentences)


def test_the_last_step_is_named_once():
    chosen = CHOSEN | {"step": 40, "value": 0.79}
    text = SENTENCE.replace("Step 20", "Step 40").replace(
        "(0.812; the last step, 40, has 0.790)", "(0.790)"
    )
    assert chosen_sentence(chosen, {}) == text


def test_a_run_without_a_validation_part_has_no_such_section(tmp_path):
    folder = make_run(tmp_path / "run")
    assert shown(folder) is None
    assert "alidation" not in write_report(folder).read_text()


def test_validation_metrics_of_runs_stand_side_by_side(tmp_path):
    runs = [validated_run(tmp_path / f"run{n}", accuracy=n / 4) for n in range(1, 3)]
    plain = make_run(tmp_path / "plain")
    page = write_comparison([*runs, plain], out=tmp_path / "out").read_text()
    assert '<section id="validation">' in page
    assert '<tr><th scope="row">run1</th><td>Linear probe</td><td>1,234</td>' in page
    page = write_comparison([runs[0], plain], out=tmp_path / "one").read_text()
    assert '<section id="validation">' not in page
    Page(page)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("knn_20/macro_f1", "macro F1 of 20-nearest neighbors"),
        (
            "classifier/accuracy",
            "accuracy of the network\N{RIGHT SINGLE QUOTATION MARK}s own classifier",
        ),
        ("logistic/balanced_accuracy", "balanced accuracy of the logistic regression"),
    ],
)
def test_a_metric_in_words(metric, words):
    assert metric_words(metric) == words
