"""What a run keeps of its validation cells: RUN/calibration.npz.

Whoever applies the run to new cells calibrates by it: it holds the probabilities and
the labels of cells that training did not see, and never those of test cells.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.errors import ConfigError
from bmjax.evals.kept_file import read_kept
from bmjax.evals.recalibration import recalibrate
from bmjax.files import whole_file

FILE = "calibration.npz"
VALIDATION_PART = "validation part"
HELD_OUT_SHARE = (
    "held-out share of the training images, judged by a second linear probe"
)


class Calibration(NamedTuple):
    """Validation cells as the run's predictor names them, and how to calibrate it."""

    probabilities: np.ndarray  # float32 [V, N], as predictions.csv has them
    labels: np.ndarray  # int64 [V]
    classes: tuple[str, ...]  # N names, by number
    trained_prior: np.ndarray  # float64 [N], the prior that the probabilities have
    train_shares: np.ndarray  # float64 [N], shares of the classes in the training part
    temperature: float  # for probabilities whose prior is train_shares
    digest: str  # of the parameters, params_sha256 of results.json
    held_out: str  # how the cells were held out: VALIDATION_PART or HELD_OUT_SHARE


def write_calibration(workdir: Path, calibration: Calibration) -> None:
    """Write a run's file; it has its name once it is whole.

    Args:
        workdir: of the run.
        calibration: of its evaluation; without cells (V = 0) where none were held out.
    """
    arrays = {name: np.asarray(value) for name, value in calibration._asdict().items()}
    with whole_file(workdir / FILE) as file:
        np.savez(file, **arrays)


def read_calibration(workdir: Path) -> Calibration:
    """Read what a run has kept of its validation cells.

    Args:
        workdir: of the run.

    Raises:
        ConfigError: the run has no such file, or it held no cells out.
        CheckpointError: the file is damaged, or of other parameters than results.json.
    """
    calibration = read_kept(workdir, FILE, Calibration._fields, _checked)
    if not len(calibration.labels):
        raise ConfigError(
            f"{str(workdir)!r} was trained without validation cells, so that its "
            "probabilities cannot be calibrated; train with "
            "--config.data.validation_share=0.1 in another workdir"
        )
    return calibration


def calibrated(
    probabilities: np.ndarray,
    calibration: Calibration,
    prior: np.ndarray | None = None,
) -> np.ndarray:
    """Probabilities of new cells, calibrated, float32 [n, N].

    The prior of training is replaced by that of the training part, for which the
    temperature was fitted; then the temperature is applied; then the prior in use
    replaces that of the training part. A class without a training image stays at 0.

    Args:
        probabilities: float [n, N], as the run's predictor gives them.
        calibration: of the run.
        prior: float [N], of the cells in use; None: that of the training part.
    """
    shares = calibration.train_shares
    probabilities = recalibrate(
        probabilities,
        calibration.trained_prior,
        shares,
        temperature=calibration.temperature,
    )
    if prior is None:
        return probabilities
    return recalibrate(probabilities, shares, prior)


def _checked(arrays: dict[str, np.ndarray]) -> Calibration:
    """Raise ValueError unless the arrays fit each other."""
    classes = tuple(map(str, arrays["classes"].tolist()))
    count = len(classes)
    probabilities, labels = arrays["probabilities"], arrays["labels"]
    if probabilities.dtype != np.float32 or probabilities.shape != (len(labels), count):
        raise ValueError(
            f"probabilities is {probabilities.dtype}{list(probabilities.shape)}, "
            f"expected float32{[len(labels), count]}"
        )
    if labels.dtype.kind != "i" or np.any((labels < 0) | (labels >= count)):
        raise ValueError(f"labels should be numbers of {count} classes")
    for name in ("trained_prior", "train_shares"):
        prior = arrays[name]
        if prior.shape != (count,) or not np.isclose(prior.sum(), 1, atol=1e-6):
            raise ValueError(f"{name} should be {count} shares with a sum of 1")
    temperature = float(arrays["temperature"])
    if len(labels) and not temperature > 0:
        raise ValueError(f"temperature is {temperature}, expected a number above 0")
    texts: dict[str, Any] = {name: str(arrays[name]) for name in ("digest", "held_out")}
    kept = {
        name: arrays[name]
        for name in ("probabilities", "labels", "trained_prior", "train_shares")
    }
    return Calibration(**kept, classes=classes, temperature=temperature, **texts)
