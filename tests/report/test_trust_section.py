"""Which names of a run to trust: chosen on validation cells, measured on test cells."""

import json
import re

import numpy as np
import pytest

from bmjax.evals.calibration_file import (
    FILE,
    VALIDATION_PART,
    Calibration,
    write_calibration,
)
from bmjax.evals.predictions import Predictions
from bmjax.report import write_report
from bmjax.report.trust_section import describe_trust
from tests.helpers.report_pages import CLASSES as PAGE_CLASSES
from tests.helpers.report_pages import Page, make_run

CLASSES = ("NGS", "EBO", "LYT", "ABE")


def _cells(number, seed, rare=4):
    """Labels drawn from the probabilities themselves: they are calibrated."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet([0.12, 0.12, 0.12], number)
    shares = np.concatenate([0.998 * shares, np.full((number, 1), 0.002)], axis=1)
    labels = (random.random((number, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    labels = np.minimum(labels, 2)
    labels[:rare] = 3
    return shares.astype(np.float32), labels


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"params_sha256": "abc"}))
    return tmp_path


def _keep(workdir, shares, labels, classes=CLASSES):
    even = np.full(len(classes), 1 / len(classes))
    kept = Calibration(
        shares, labels, tuple(classes), even, even, 1.0, "abc", VALIDATION_PART
    )
    write_calibration(workdir, kept)


def _predictions(shares, labels):
    paths = tuple(f"{i}.png" for i in range(len(labels)))
    return Predictions(paths, CLASSES, labels, shares.argmax(axis=1), shares)


def _number(text):
    return float(re.search(r"[\d.]+", text).group())


def test_what_is_asked_for_is_kept_on_the_test_part(workdir):
    _keep(workdir, *_cells(4000, 0))
    shown = describe_trust(workdir, _predictions(*_cells(4000, 1)))
    _, *accepted = shown.accepted
    shares = [_number(row[2].value) for row in accepted]
    assert shares == sorted(shares)
    assert shares[2] > 30
    for asked, row in zip((1, 2, 5), accepted, strict=True):
        if shares[0]:
            assert float(row[3].interval.split(" to ")[0]) <= asked
    _, marginal, by_class = shown.sets
    for row in (marginal, by_class):
        assert 88 < _number(row[1].value) < 92.5
    assert _number(by_class[3].value) > _number(marginal[3].value)  # ABE in each
    assert any("ABE (4), as a class needs 9 validation cells" in n for n in shown.notes)


def test_thresholds_are_of_validation_cells_alone(workdir):
    _keep(workdir, *_cells(2000, 0))
    shown = [
        describe_trust(workdir, _predictions(*_cells(300, seed))) for seed in (1, 2)
    ]
    one, other = ([row[1] for row in each.accepted] for each in shown)
    assert one == other
    assert shown[0].curve != shown[1].curve


def test_too_few_validation_cells_for_a_bound_are_said(workdir):
    _keep(workdir, *_cells(30, 0, rare=0))
    shown = describe_trust(workdir, _predictions(*_cells(300, 1)))
    assert shown.accepted[1][2].value == "0.0 %"
    assert any(
        note.startswith("No threshold keeps an error of 1 %") for note in shown.notes
    )


def test_a_run_without_validation_cells_has_one_sentence(tmp_path):
    run = make_run(tmp_path / "run")
    text = write_report(run).read_text("utf-8")
    assert f"the run holds no {FILE}" in text
    assert "accepted" not in {a.get("id") for _, a in Page(text).tags}


def test_the_page_shows_curve_and_tables(tmp_path):
    run = make_run(tmp_path / "run")
    random = np.random.default_rng(0)
    labels = np.arange(200) % 4
    shares = 0.6 * np.eye(4)[labels] + 0.4 * random.dirichlet(np.ones(4), 200)
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"params_sha256": "abc"}))
    _keep(run, shares.astype(np.float32), labels, PAGE_CLASSES)
    text = write_report(run).read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert page.rows("accepted") == ["1 %", "2 %", "5 %"]
    assert page.rows("sets") == ["all cells", "each class"]
    assert 'class="reliability risk"' in text
    assert write_report(run).read_text("utf-8") == text
