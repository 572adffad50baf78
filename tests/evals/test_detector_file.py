"""What a run keeps to tell unknown cells, distances as percentiles, foreign cases."""

import json

import numpy as np
import pytest

from bmjax.errors import CheckpointError, ConfigError
from bmjax.evals.calibration_file import VALIDATION_PART
from bmjax.evals.detector_file import (
    DETECTOR_FILE,
    TRAINING,
    distances,
    fit_detector,
    foreign_cells,
    read_detector,
    write_detector,
)


def drawn(seed, count=400, shift=0.0):
    rows = np.random.default_rng(seed).normal(size=(count, 8)) + np.arange(8)
    rows[:, :2] += shift
    return rows.astype(np.float32)


def fitted(validation=True, digest="abc"):
    labels = np.arange(400) % 3
    return fit_detector(drawn(0), labels, drawn(1) if validation else None, digest)


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"params_sha256": "abc"}))
    return tmp_path


def test_what_is_written_is_read(workdir):
    write_detector(workdir, fitted())
    found = read_detector(workdir)
    assert (found.scored_on, found.digest) == (VALIDATION_PART, "abc")
    expected = distances(fitted(), drawn(2))
    assert np.array_equal(distances(found, drawn(2)), expected)


def test_distances_are_percentiles_of_the_runs_own_cells():
    found = np.sort(distances(fitted(), drawn(1)))
    np.testing.assert_allclose(found, np.linspace(0, 100, 400), atol=0.2)
    assert (distances(fitted(), drawn(2, shift=40.0)) == 100).all()
    assert fitted(validation=False).scored_on == TRAINING


def test_a_missing_damaged_or_other_file_is_refused(workdir):
    with pytest.raises(ConfigError, match="evaluates it anew and does not train"):
        read_detector(workdir)
    write_detector(workdir, fitted(digest="other"))
    with pytest.raises(CheckpointError, match="of other parameters"):
        read_detector(workdir)
    write_detector(workdir, fitted()._replace(quantiles=np.zeros(5, np.float32)))
    with pytest.raises(CheckpointError, match="is damaged"):
        read_detector(workdir)
    whole = (workdir / DETECTOR_FILE).read_bytes()
    (workdir / DETECTOR_FILE).write_bytes(whole[:100])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_detector(workdir)


def test_a_case_is_suspect_where_far_more_cells_are_foreign_than_expected():
    own = foreign_cells(25, 500)
    assert (own["cells"], own["foreign"], own["suspect"]) == (500, 25, False)
    assert own["interval"][0] < own["percent"] == own["expected"] == 5
    assert foreign_cells(200, 200)["suspect"]
    assert not foreign_cells(1, 1)["suspect"]
