"""The model card says what the run's files say, and what was not tested."""

import json

import pytest
from markupsafe import escape

from bmjax.report import write_report
from bmjax.report.model_card import CARD_FILE
from tests.helpers.report_pages import CLASSES, SUPPORT, Page, make_run


def card_of(folder):
    write_report(folder)
    text = (folder / CARD_FILE).read_text("utf-8")
    return json.loads(text), text


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def test_its_figures_are_the_runs_and_come_again(run):
    card, text = card_of(run)
    results = json.loads((run / "results.json").read_text("utf-8"))
    assert card["test"]["images"] == sum(SUPPORT)
    value = card["test"]["metrics"]["accuracy"]["value"]
    low, high = card["test"]["metrics"]["accuracy"]["interval"]
    assert low <= value <= high
    assert f"accuracy {value:.3f}" in card["tested"][0]
    assert card["network"]["params_sha256"] == results.get("params_sha256")
    assert card["training"]["images"] == results.get("n_train")
    assert [entry["class"] for entry in card["classes"]] == CLASSES
    assert card_of(run)[1] == text


def test_it_says_what_was_not_tested_and_names_rare_classes(run):
    card, _ = card_of(run)
    untested = " ".join(card["not_tested"])
    assert "Not a medical device" in card["disclaimer"]
    for word in ("stain", "patient", "smears", "ABE"):
        assert word in untested
    assert "BLA" not in untested


def test_the_page_has_its_sentences(run):
    card, _ = card_of(run)
    page = (run / "report.html").read_text("utf-8")
    assert ("h2", "Model card") in Page(page).headings
    for sentence in (*card["tested"], *card["not_tested"]):
        assert escape(sentence) in page


def test_folders_of_this_computer_are_not_named(run):
    config = json.loads((run / "config.json").read_text("utf-8"))
    config["init_from"] = "/home/somebody/secret/weights.pth"
    (run / "config.json").write_text(json.dumps(config))
    card, text = card_of(run)
    assert "somebody" not in text
    assert card["network"]["began_with"].endswith("weights.pth")
