"""The command: from a folder of cells to a count, and from a review to the next."""

import csv
import json
import shutil

import numpy as np
import pytest

from bmjax.count.__main__ import _foreign_notes, _make_room, main
from bmjax.count.agree import main as agree
from bmjax.count.case_cells import CaseCells, expected_gains
from bmjax.count.countable import DEFAULT_TABLE
from bmjax.errors import DataError
from bmjax.evals.calibration_file import read_calibration, write_calibration
from bmjax.files import CannotWrite, file_sha256
from bmjax.predict.__main__ import main as predict
from tests.helpers.small_run import small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run(
        tmp_path_factory.mktemp("count"),
        "supervised",
        "--config.data.validation_share=0.3",
    )


def case_of(run, folder):
    """Two smears of the run's own cells."""
    cells = sorted(path for path in run.cells.rglob("*.*") if path.suffix == ".jpg")
    for number, path in enumerate(cells[:40]):
        smear = folder / f"smear {number % 2}"
        smear.mkdir(parents=True, exist_ok=True)
        (smear / f"=cell{number}.jpg").write_bytes(path.read_bytes())
    return folder


@pytest.mark.slow
def test_a_case_is_counted_reviewed_and_counted_again(run, tmp_path, capsys):
    case = case_of(run, tmp_path / "case")
    more = [f"--run={run.workdir}", "--devices=1", "--count-foreign"]
    out = tmp_path / "out"
    assert main([str(case), f"--out={out}", *more]) == 0
    said = capsys.readouterr().err
    counted = json.loads((out / "count.json").read_text())
    rows = list(csv.DictReader((out / "cells.csv").open()))
    assert counted["cells"] == len(rows) == 40
    assert counted["smears"] == 2
    for row in counted["classes"]:
        assert row["n"] == sum(r["label"] == row["class"] for r in rows)
    sums = [sum(float(r[name]) for name in r if name.startswith("p_")) for r in rows]
    np.testing.assert_allclose(sums, 1, atol=1e-3)
    page = (out / "case.html").read_text()
    assert page.count('class="cell') == 40
    assert "ICSH" in page
    assert "ICSH" in said
    assert main([str(case), f"--out={out}", *more]) == 2
    assert "holds a count already" in capsys.readouterr().err
    assert main([str(case), f"--out={out}", *more, "--force"]) == 0
    assert json.loads((out / "count.json").read_text()) == counted
    # A review: one cell is another class, one does not count, one is right.
    classes = [row["class"] for row in counted["classes"]]
    other = next(name for name in classes if name != rows[0]["predicted"])
    review = tmp_path / "corrections.csv"
    lines = [
        (rows[0]["path"], other, "Dr. A", counted["case"]),
        (rows[1]["path"], "-", "Dr. A", counted["case"]),
        (rows[2]["path"], rows[2]["predicted"], "Dr. B", counted["case"]),
    ]
    with review.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "who", "case"), *lines])
    again = tmp_path / "again"
    more.append(f"--corrections={review}")
    assert main([str(case), f"--out={again}", *more]) == 0
    after = json.loads((again / "count.json").read_text())
    assert after["reviewed"] == 3
    assert after["marked_uncountable"] == 1
    assert (after["agreement"]["cells"], after["agreement"]["kept"]) == (3, 1)
    assert all(row["corrected"] is None for row in after["classes"])
    audit = list(csv.DictReader((again / "cells.csv").open()))
    who = [row["who"] for row in audit]
    assert who == ["Dr. A", "Dr. A", "Dr. B", *[""] * 37]
    labels = [row["label"] for row in audit]
    assert labels[:3] == [other, "-", rows[2]["predicted"]]
    assert labels[3:] == [row["label"] for row in rows[3:]]
    # What it rests on is told by content: a name may have another tomorrow.
    rests_on, plain = after["provenance"], counted["provenance"]
    assert file_sha256(review)[:16] in rests_on["corrections"]
    assert file_sha256(DEFAULT_TABLE)[:16] in rests_on["countable classes"]
    results = json.loads((run.workdir / "results.json").read_text())
    assert rests_on["data of the run"] == results["data_fingerprint"]
    differ = {name for name in plain if rests_on[name] != plain[name]}
    assert differ == {"corrections"}
    # Corrections of another case are refused.
    review.write_text(review.read_text().replace(counted["case"], "0" * 16))
    assert main([str(case), f"--out={tmp_path / 'no'}", *more]) == 3
    assert "are of the case" in capsys.readouterr().err


def test_an_empty_case_and_a_run_that_is_none_are_sentences(tmp_path, capsys):
    (tmp_path / "case").mkdir()
    out = [f"--out={tmp_path / 'out'}", f"--run={tmp_path / 'run'}"]
    assert main([str(tmp_path / "case"), *out]) == 3
    (tmp_path / "case" / "a.png").write_bytes(b"no picture")
    assert main([str(tmp_path / "case"), *out]) == 2
    (tmp_path / "run").mkdir()
    assert main([str(tmp_path / "case"), *out]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "calibration.npz" in said[2]


def test_a_case_unlike_the_runs_cells_is_not_counted_unless_asked_for():
    def cells(foreign):
        distance = np.where(np.arange(100) < foreign, 99.0, 10.0)
        return CaseCells(
            paths=("",) * 100,
            smears=("",) * 100,
            probabilities=np.ones((100, 1)),
            predicted=np.zeros(100, int),
            distance=distance,
            pictures=("",) * 100,
            digest="",
            failed=0,
        )

    assert _foreign_notes(cells(5), force=False) == []
    (note,) = _foreign_notes(cells(50), force=False)
    assert "Do not rely on this count" in note
    with pytest.raises(DataError, match="95 of 100 cells"):
        _foreign_notes(cells(95), force=False)
    # One of the run's own cells in twenty is foreign: a single one says nothing.
    single = cells(1)._replace(paths=("",), distance=np.array([99.0]))
    assert _foreign_notes(single, force=False) == []
    lost = cells(0)._replace(distance=np.full(100, np.nan))
    with pytest.raises(DataError, match="100 of 100 cells"):
        _foreign_notes(lost, force=False)
    assert _foreign_notes(cells(95), force=True)


@pytest.mark.parametrize("name", ["count.json", "case.html", "case-2.html"])
def test_what_cannot_be_replaced_is_a_sentence(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(CannotWrite, match="cannot be written"):
        _make_room(tmp_path)


def test_a_home_folder_is_known_in_the_place_of_results(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "count.json").write_text("{}")
    (tmp_path / "agreement.json").write_text("{}")
    assert main([str(tmp_path), "--run=none", "--out=~"]) == 2
    assert agree(["a", "b", "--out=~"]) == 2
    assert capsys.readouterr().err.count("already") == 2


def test_a_cell_that_matters_more_is_worth_a_second_look():
    shares = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.6, 0.0, 0.4]])
    counts = np.array([100, 50, 1])
    sure, doubtful, rare = expected_gains(shares, np.zeros(3, int), counts)
    assert sure < doubtful < rare


@pytest.mark.slow
def test_validation_cells_of_other_parameters_than_the_loaded_are_refused(
    run, tmp_path, capsys
):
    """Though results.json and the kept file agree."""
    other = shutil.copytree(run.workdir, tmp_path / "run")
    results = json.loads((other / "results.json").read_text())
    kept = read_calibration(other)
    assert kept.digest == results["params_sha256"]
    write_calibration(other, kept._replace(digest="0" * 64))
    results["params_sha256"] = "0" * 64
    (other / "detector.npz").unlink()
    (other / "results.json").write_text(json.dumps(results))
    case = case_of(run, tmp_path / "case")
    for command, out in ((main, "out"), (predict, "out.csv")):
        given = [str(case), f"--run={other}", f"--out={tmp_path / out}", "--devices=1"]
        assert command(given) == 5
        said = capsys.readouterr().err
        assert f"the checkpoint in use has {kept.digest[:12]}" in said
        assert not (tmp_path / out).exists()
