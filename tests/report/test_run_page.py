"""Laws of a run's report: self-contained, escaped, complete, the same every time."""

import json
import re
import subprocess
import sys

import pytest

from bmjax.errors import DataError
from bmjax.evals.assess import assess
from bmjax.evals.confusion import AVERAGES
from bmjax.evals.predictions import read_predictions
from bmjax.report import dots, facts, words, write_report
from bmjax.report import metric_tables as tables
from bmjax.report.model_card import CARD_FILE
from bmjax.report.run_files import Series, read_series
from bmjax.report.run_page import DRAWS
from tests.helpers.report_pages import (
    CLASSES,
    HOSTILE,
    SEED,
    SUPPORT,
    Page,
    make_run,
    write_predictions,
)


@pytest.fixture
def run(tmp_path):
    """The folder of a small finished run whose last class and files are hostile."""
    return make_run(tmp_path / "run")


@pytest.fixture
def page(run):
    return Page(write_report(run).read_text("utf-8"))


def test_page_is_whole_and_fetches_nothing(run, page):
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"link", "script", "img", "iframe", "base", "object"})
    for _, attributes in page.tags:
        assert {"href", "xlink:href"}.isdisjoint(attributes)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a for t, a in page.tags if a.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none'")
    text = (run / "report.html").read_text("utf-8")
    assert not re.search(r"@import|url\(|https?://", text)


def test_hostile_names_are_shown_as_text(run, page):
    text = (run / "report.html").read_text("utf-8")
    assert "<img" not in text
    assert "&lt;img src=x onerror=" in text
    files = [text for attributes, text in page.in_table("mistakes", "th")]
    assert any(HOSTILE in name for name in files)


def test_each_class_has_one_row(page):
    assert page.rows("classes") == CLASSES
    assert sorted(page.rows("confusion")) == sorted(CLASSES)


def test_a_class_without_test_images_is_absent_and_not_zero(page):
    cells = [text for _, text in page.in_table("classes", "td")]
    assert sum("absent" in text for text in cells) == 1
    assert not any(text.startswith("0.000") for text in cells)


def test_a_class_never_predicted_has_a_dash_with_its_reason(run):
    rows = [("a.jpg", "BLA", "BLA"), ("b.jpg", "EBO", "BLA")]
    write_predictions(run / "predictions.csv", rows)
    page = Page(write_report(run).read_text("utf-8"))
    cells = page.in_table("classes", "td")
    reasons = [text for a, text in cells if a.get("title") == "never predicted"]
    assert reasons == [words.NONE]


def test_intervals_of_the_page_are_those_of_assess(run, page):
    predictions = read_predictions(run / "predictions.csv")
    entries = assess(predictions, draws=DRAWS, seed=SEED)["per_class"]
    cells = [text for _, text in page.in_table("classes", "td")]
    for entry in entries:
        for key in ("precision", "recall", "f1"):
            if entry["support"]:
                ends = words.interval_text(*entry[f"{key}_interval"])
                assert f"{words.score(entry[key])} {ends}" in cells


def test_confusion_counts_every_prediction_once(page):
    cells = [
        int(text)
        for attributes, text in page.in_table("confusion", "td")
        if attributes["class"].split()[0] in ("correct", "wrong", "zero")
    ]
    assert len(cells) == len(CLASSES) ** 2
    assert sum(cells) == sum(SUPPORT)


def test_a_score_that_is_not_defined_is_a_dash_with_its_reason(run):
    rows = [("a.jpg", "BLA", "BLA"), ("b.jpg", "EBO", "BLA")]
    write_predictions(run / "predictions.csv", rows)
    figures = assess(read_predictions(run / "predictions.csv"), draws=10)
    tiles = {tile.label: tile for tile in tables.tiles(figures)}
    rare = tiles["Macro F1 without rare classes"]
    assert (rare.value, rare.reason) == (words.NONE, "every class is rare here")
    assert tiles["Accuracy"].value == "0.500"


def test_every_average_of_the_results_is_shown_under_a_title_of_its_own():
    assert sorted(tables.SCORES) == sorted(AVERAGES)
    assert len(set(tables.SCORES.values())) == len(AVERAGES)
    assert all(title[0].isupper() for title in tables.SCORES.values())


def test_few_test_images_are_named(run):
    figures = assess(read_predictions(run / "predictions.csv"), draws=10)
    few, absent = tables.warnings(figures)
    assert few.startswith(f"{HOSTILE} (5) has fewer than 20 test images,")
    assert "1 of the 3 terms" in few
    assert absent == "ABE is absent from the test part."


def test_results_of_other_predictions_are_said(run):
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"accuracy": 0.9}))
    text = write_report(run).read_text("utf-8")
    assert "gives the accuracy as 0.900" in text


def test_synthetic_images_and_mixed_files_are_said(run):
    config = {"data": {"root": "", "synthetic_images": 230}}
    (run / "config.json").write_text(json.dumps(config))
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"n_test": 4}))
    text = write_report(run).read_text("utf-8")
    assert "The images are synthetic" in text
    assert "may be of different runs" in text


def test_what_mending_gains_is_said_with_its_notes(run):
    results = json.loads((run / "results.json").read_text())
    scaled = {"value": 1.5, "validation_images": 30, "ece": 0.25}
    results |= {"calibration": {"temperature": scaled}, "notes": ["Fitted on few."]}
    (run / "results.json").write_text(json.dumps(results))
    text = write_report(run).read_text("utf-8")
    assert "temperature of 1.500, fitted on 30 validation images, the ECE is" in text
    assert "Fitted on few." in text


def test_map_is_left_out_without_embedding(run):
    assert "t-SNE" in write_report(run).read_text("utf-8")
    (run / "embedding.csv").unlink()
    assert "t-SNE" not in write_report(run).read_text("utf-8")


def test_writes_page_and_card_with_the_same_bytes(run):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    after = {path.name: path.read_bytes() for path in run.iterdir()}
    card = after[CARD_FILE]
    assert after == before | {"report.html": first, CARD_FILE: card}


def test_an_absolute_path_keeps_its_end_alone(run):
    assert "someone/cells" in write_report(run).read_text("utf-8")
    assert "/home" not in write_report(run).read_text("utf-8")
    assert words.shown_path("C:\\data\\run\\BLA\\1.jpg") == "BLA/1.jpg"
    assert words.shown_path("BLA/1.jpg") == "BLA/1.jpg"


@pytest.mark.parametrize(
    "name", ["config.json", "results.json", "predictions.csv", "metrics.jsonl"]
)
def test_a_missing_file_is_one_sentence(run, name):
    (run / name).unlink()
    with pytest.raises(DataError, match=rf"expected .*{re.escape(name)}.*: finish"):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.json", "[1]"),
        ("config.json", "{"),
        ("predictions.csv", "path,label\na,b\n"),
        ("predictions.csv", "path,label,predicted\na,b\n"),
        ("embedding.csv", "a,b\n"),
    ],
)
def test_a_damaged_file_is_one_sentence(run, name, text):
    (run / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(name)):
        write_report(run)


def test_a_run_of_no_more_than_predictions_gives_a_page(run):
    write_predictions(run / "predictions.csv", [("a.jpg", "BLA", "BLA")])
    (run / "embedding.csv").write_text("path,label,x,y\n")
    (run / "metrics.jsonl").write_text("")
    (run / "results.json").write_text("{}")
    (run / "config.json").write_text("{}")
    assert Page(write_report(run).read_text("utf-8")).open == []


def test_a_step_logged_twice_counts_once_and_torn_lines_are_counted():
    text = '{"step": 2, "a": 1}\n{"step": 1, "a": 5}\n{"step": 2, "a": 3}\n{"st\n'
    series, unreadable = read_series(text)
    assert series == [Series("a", [1.0, 2.0], [5.0, 3.0])]
    assert unreadable == 1


def test_scores_are_named_after_what_they_are_of():
    scores = {"accuracy": 1.0, "macro_f1": 1.0}
    both = {**scores, "probe": {"linear": scores}}
    assert facts.measured({**both, "method": "swav"}).startswith("Linear probe")
    assert "own classifier" in facts.measured({**both, "method": "supervised"})
    assert "20-nearest" in facts.measured({**both, "predictor": "knn_20"})


def test_command_reports_each_run_without_jax(run, tmp_path):
    code = (
        "import sys; from bmjax.report.__main__ import main; code = main();"
        "assert 'jax' not in sys.modules and 'flax' not in sys.modules; sys.exit(code)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "none"), str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("bmjax: expected a run folder")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.strip() == str(run / "report.html")


def _contrast(one: str, other: str) -> float:
    """The contrast of two colors, WCAG 2.1."""

    def luminance(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
        shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
            for share in shares
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_letters_and_marks_stand_out_in_light_and_dark(run):
    text = write_report(run).read_text("utf-8")
    for colors in re.findall(r":root \{(.*?)\}", text, re.DOTALL):
        found = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]+)", colors))
        for name in ("ink", "soft", "accent", "few"):
            assert _contrast(found["paper"], found[name]) >= 4.5, name
        for number in range(dots.COLORS):
            assert _contrast(found["paper"], found[f"c{number}"]) >= 3, number
