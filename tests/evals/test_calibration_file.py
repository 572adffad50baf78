"""What a run keeps of its validation cells, and what its reader refuses."""

import json

import numpy as np
import pytest

from bmjax.errors import CheckpointError, ConfigError
from bmjax.evals.calibration import apply_temperature
from bmjax.evals.calibration_file import (
    FILE,
    VALIDATION_PART,
    Calibration,
    calibrated,
    read_calibration,
    write_calibration,
)


def kept(cells=12, **changes):
    random = np.random.default_rng(0)
    return Calibration(
        probabilities=random.dirichlet(np.ones(3), cells).astype(np.float32),
        labels=random.integers(0, 3, cells),
        classes=("A", "B", "Größe"),
        trained_prior=np.full(3, 1 / 3),
        train_shares=np.array([0.5, 0.3, 0.2]),
        temperature=1.5,
        digest="abc",
        held_out=VALIDATION_PART,
    )._replace(**changes)


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"params_sha256": "abc"}))
    return tmp_path


def test_what_is_written_is_read(workdir):
    write_calibration(workdir, kept())
    for found, written in zip(read_calibration(workdir), kept(), strict=True):
        assert np.array_equal(found, written)


def test_an_older_run_is_told_which_command_makes_the_file(workdir):
    with pytest.raises(
        ConfigError, match=r"older versions lack; remove .*report\.html"
    ):
        read_calibration(workdir)


def test_a_run_without_validation_cells_says_so(workdir):
    write_calibration(workdir, kept(cells=0, temperature=float("nan")))
    with pytest.raises(ConfigError, match="without validation cells"):
        read_calibration(workdir)


def test_a_damaged_file_and_one_of_other_parameters_are_refused(workdir):
    write_calibration(workdir, kept(digest="other"))
    with pytest.raises(CheckpointError, match="of other parameters"):
        read_calibration(workdir)
    write_calibration(workdir, kept())
    whole = (workdir / FILE).read_bytes()
    (workdir / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_calibration(workdir)


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": np.full(12, 3)},
        {"probabilities": np.zeros((12, 2), np.float32)},
        {"trained_prior": np.ones(3)},
        {"train_shares": np.ones(2) / 2},
        {"temperature": 0.0},
    ],
)
def test_arrays_that_do_not_fit_each_other_are_damage(workdir, wrong):
    write_calibration(workdir, kept(**wrong))
    with pytest.raises(CheckpointError, match="is damaged"):
        read_calibration(workdir)


def test_probabilities_are_calibrated_for_any_prior():
    given = kept().probabilities
    one = kept(train_shares=np.full(3, 1 / 3))
    assert np.array_equal(calibrated(given, one), apply_temperature(given, 1.5))
    prior = np.array([0.1, 0.1, 0.8])
    plain = calibrated(given, kept())
    moved = calibrated(given, kept(), prior)
    weights = plain * prior / kept().train_shares
    expected = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    same = calibrated(given, kept(), kept().train_shares)
    np.testing.assert_allclose(same, plain, atol=1e-7)
