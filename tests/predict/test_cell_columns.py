"""What a run's kept files add to a cell: the columns, and what they need."""

import json

import numpy as np
import pytest

from bmjax.errors import ConfigError, DataError
from bmjax.evals.calibration_file import (
    VALIDATION_PART,
    Calibration,
    write_calibration,
)
from bmjax.evals.detector_file import fit_detector, write_detector
from bmjax.predict.__main__ import main
from bmjax.predict.cell_columns import CellColumns, CellValues, read_columns

CLASSES = ("NGS", "EBO", "=ART")


@pytest.fixture
def run(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"params_sha256": "abc"}))
    random = np.random.default_rng(0)
    shares = random.dirichlet([0.2] * 3, 2000)
    labels = (random.random((2000, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    even = np.full(3, 1 / 3)
    kept = Calibration(
        shares.astype(np.float32),
        np.minimum(labels, 2),
        CLASSES,
        even,
        even,
        2.0,
        "abc",
        VALIDATION_PART,
    )
    write_calibration(tmp_path, kept)
    return tmp_path


def test_a_run_with_validation_cells_has_doubt_and_sets(run):
    columns = read_columns(run, CLASSES, "none")
    assert columns.names == ("doubtful", "set")
    assert columns.calibration is None
    assert (columns.trust.error, columns.trust.level) == (0.05, 0.9)
    loose = read_columns(run, CLASSES, "none", error=0.1)
    assert loose.trust.threshold < columns.trust.threshold
    wide = read_columns(run, CLASSES, "none", level=0.99)
    assert (wide.trust.sets >= columns.trust.sets).all()
    # The temperature of 2 makes all probabilities lower, and the threshold with them.
    flat = read_columns(run, CLASSES, "train")
    assert flat.trust.threshold < columns.trust.threshold
    unasked = read_columns(run, CLASSES, "")
    assert unasked.described == flat.described != ""
    assert unasked.trust.threshold == flat.trust.threshold


def test_no_number_is_no_trust(run):
    rows = np.full((2, 3), np.nan, np.float32)
    doubtful, _ = read_columns(run, CLASSES, "", error=0.1).trust.apply(rows)
    assert doubtful.all()


def test_a_prior_may_come_from_a_spreadsheet_and_names_each_class_once(run, tmp_path):
    path = tmp_path / "prior.csv"
    path.write_text(" share ;CLASS\r\n1; NGS\r\n\r\n3;./=ART \r\n", "utf-8-sig")
    assert read_columns(run, CLASSES, str(path)).prior.tolist() == [0.25, 0, 0.75]
    path.write_text("class,share\nNGS,1\nEBO,1\nNGS,3\n")
    with pytest.raises(DataError, match="line 4: 'NGS' is named twice"):
        read_columns(run, CLASSES, str(path))


def test_without_validation_cells_there_are_none(tmp_path, run):
    assert read_columns(tmp_path / "other", CLASSES, "").names == ()
    assert read_columns(run, ("A", "B"), "").names == ()


def test_what_a_run_kept_says_nothing_of_its_network_with_adapters(run):
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.arange(60) % 3
    write_detector(run, fit_detector(features, labels, None, "abc"))
    assert read_columns(run, CLASSES, "").detector is not None
    assert read_columns(run, CLASSES, "", adapted=True) == CellColumns()
    for asked in ({"level": 0.5}, {"prior": "even"}, {"error": 0.1}):
        with pytest.raises(ConfigError, match="went through the adapters"):
            read_columns(run, CLASSES, **{"prior": "", **asked}, adapted=True)


def test_what_is_asked_for_and_not_there_is_one_sentence(tmp_path, run):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"--error=0\.1 needs the validation cells"):
        read_columns(file, CLASSES, "", error=0.1)
    with pytest.raises(ConfigError, match="other classes than its network"):
        read_columns(run, ("A", "B"), "", level=0.5)
    (run / "calibration.npz").unlink()
    with pytest.raises(ConfigError, match="older versions lack"):
        read_columns(run, CLASSES, "", error=0.1)


@pytest.mark.parametrize("option", ["--error=0", "--error=1", "--set-level=1.5"])
def test_shares_that_are_none_are_refused(tmp_path, capsys, option):
    out = tmp_path / "out.csv"
    command = [str(tmp_path), f"--run={tmp_path}", f"--out={out}", option]
    assert main(command) == 2
    assert "give a share between 0 and 1" in capsys.readouterr().err


def test_the_cells_of_a_row():
    sets = np.array([[True, False, True], [False, False, True], [False] * 3])
    values = CellValues(
        np.full((3, 3), 1 / 3, np.float32),
        np.array([True, False, True]),
        sets,
        None,
        np.array([1.25, 99.96, 0.0], np.float32),
    )
    assert values.cells(0, CLASSES) == ("1", "NGS | =ART", "1.2")
    assert values.cells(1, CLASSES) == ("0", "./=ART", "100.0")
    assert values.cells(2, CLASSES) == ("1", "", "0.0")
    assert (
        values._replace(doubtful=None, sets=None, distances=None).cells(0, CLASSES)
        == ()
    )
