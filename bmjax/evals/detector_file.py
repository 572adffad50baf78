"""What a run keeps to tell cells it does not know: RUN/detector.npz.

The detector is fitted on training features. A cell's distance is told as a percentile
of the run's own validation cells.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.evals.calibration_file import VALIDATION_PART
from bmjax.evals.intervals import clopper_pearson
from bmjax.evals.kept_file import read_kept
from bmjax.evals.unknown_cells import (
    Mahalanobis,
    fit_mahalanobis,
    mahalanobis_scores,
)
from bmjax.files import whole_file

DETECTOR_FILE = "detector.npz"
TRAINING = "training part"
FOREIGN = 95.0  # percentile above which a cell is foreign, as in "FPR at 95 %"
# Per cent of foreign cells from which a case is suspect; ours: of a run's test cells
# 9.5 % were foreign where the scores were those of training cells.
SUSPECT = 20.0
_QUANTILES = 1001  # a tenth of a percentile apart
_MOST = 20_000  # cells whose scores the quantiles are of; ours
_OWN = ("quantiles", "scored_on", "digest")  # fields beside those of the detector


class Detector(NamedTuple):
    """A detector and the scores that it gives cells of the run."""

    fitted: Mahalanobis
    quantiles: np.ndarray  # float32 [1001], of the scores of the cells in scored_on
    scored_on: str  # VALIDATION_PART or TRAINING
    digest: str  # of the parameters, params_sha256 of results.json


def fit_detector(
    train: np.ndarray, labels: np.ndarray, validation: np.ndarray | None, digest: str
) -> Detector:
    """Fit a detector on training features.

    Without a validation part its scores are those of training cells, which the network
    has learned: distances of new cells are then overstated.

    Args:
        train: float32 [n, F].
        labels: int [n].
        validation: float32 [V, F], or None.
        digest: of the parameters.
    """
    fitted = fit_mahalanobis(train, labels)
    known, scored_on = validation, VALIDATION_PART
    if known is None:
        known, scored_on = train[:: -(-len(train) // _MOST)], TRAINING
    shares = np.linspace(0, 1, _QUANTILES)
    quantiles = np.quantile(mahalanobis_scores(fitted, known), shares)
    return Detector(fitted, quantiles.astype(np.float32), scored_on, digest)


def write_detector(workdir: Path, detector: Detector) -> None:
    """Write a run's file; it has its name once it is whole."""
    arrays: dict[str, Any] = {
        **detector.fitted._asdict(),
        **{name: np.asarray(getattr(detector, name)) for name in _OWN},
    }
    with whole_file(workdir / DETECTOR_FILE) as file:
        np.savez(file, **arrays)


def read_detector(workdir: Path) -> Detector:
    """Read a run's detector.

    Raises:
        ConfigError: the run has none.
        CheckpointError: the file is damaged, or of other parameters than results.json.
    """
    return read_kept(workdir, DETECTOR_FILE, (*Mahalanobis._fields, *_OWN), _checked)


def distances(detector: Detector, features: np.ndarray) -> np.ndarray:
    """How many per cent of the run's own cells lie nearer, float32 [n], 0 to 100.

    Args:
        detector: of the run.
        features: float32 [n, F].
    """
    scores = mahalanobis_scores(detector.fitted, features)
    percent = np.linspace(0, 100, len(detector.quantiles))
    return np.interp(scores, detector.quantiles, percent).astype(np.float32)


def foreign_cells(foreign: int, cells: int) -> dict[str, Any]:
    """What it means that some cells of a case are foreign, ready for JSON.

    Args:
        foreign: cells whose distance is above FOREIGN.
        cells: of the case, 1 or more.

    Returns:
        `cells`, `foreign`, `percent` of them and its exact 95 % `interval`, `expected`
        (5 %: as many of the run's own cells), and `suspect`: whether the interval lies
        above SUSPECT.
    """
    low, high = map(float, clopper_pearson(foreign, cells, level=0.95))
    return {
        "cells": cells,
        "foreign": foreign,
        "percent": 100 * foreign / cells,
        "interval": [100 * low, 100 * high],
        "expected": 100 - FOREIGN,
        "suspect": 100 * low > SUSPECT,
    }


def _checked(arrays: dict[str, np.ndarray]) -> Detector:
    """The detector in a file; ValueError unless its arrays fit each other."""
    fitted = Mahalanobis(**{name: arrays[name] for name in Mahalanobis._fields})
    _check(fitted, arrays["quantiles"])
    return Detector(
        fitted, arrays["quantiles"], str(arrays["scored_on"]), str(arrays["digest"])
    )


def _check(fitted: Mahalanobis, quantiles: np.ndarray) -> None:
    """Raise ValueError unless the arrays fit each other."""
    width = len(np.atleast_1d(fitted.center))
    count = len(np.atleast_1d(fitted.means))
    wanted = ((width,), (count, width), (width, width), (_QUANTILES,))
    named = {**fitted._asdict(), "quantiles": quantiles}
    for (name, array), shape in zip(named.items(), wanted, strict=True):
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, expected "
                f"float32{list(shape)}"
            )
