"""What a run's kept files add to each cell that it names.

The one place where calibration, distance, and later sets and abstention come in.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.user_tables import read_user_table
from bmjax.encoder import Encoder, Outputs
from bmjax.errors import ConfigError, DataError
from bmjax.evals.calibration_file import Calibration, calibrated, read_calibration
from bmjax.evals.detector_file import (
    DETECTOR_FILE,
    Detector,
    distances,
    read_detector,
)

TRAIN, EVEN = "train", "even"


class CellColumns(NamedTuple):
    """What is known of the run beside its network.

    Attributes:
        calibration: None: probabilities stay as the network gives them.
        prior: float [N], of the cells in use; None: that of the training part.
        detector: None: there are no distances.
        described: by what the probabilities are calibrated; "" where they are not.
    """

    calibration: Calibration | None = None
    prior: np.ndarray | None = None
    detector: Detector | None = None
    described: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns after the probabilities."""
        return () if self.detector is None else ("distance",)

    def of(
        self, encoder: Encoder, outputs: Outputs
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Probabilities float32 [B, N] and distances float32 [B] of a batch."""
        rows = encoder.probabilities(outputs)
        if self.calibration is not None:
            rows = calibrated(rows, self.calibration, self.prior)
        if self.detector is None:
            return rows, None
        return rows, distances(self.detector, outputs["features"])


def read_columns(run: Path, classes: tuple[str, ...], prior: str) -> CellColumns:
    """Read what a run has kept for use on new cells.

    Args:
        run: its workdir, or a file of weights, which has nothing beside it.
        classes: that the network names.
        prior: "": probabilities as the network gives them; "train" or "even"; or a
            CSV with the columns class and share.

    Raises:
        ConfigError: a prior is asked for and the run has no validation cells.
        CheckpointError: a kept file is damaged.
        DataError: the prior's table cannot be used.
    """
    detector = read_detector(run) if (run / DETECTOR_FILE).exists() else None
    if not prior:
        return CellColumns(detector=detector)
    if not run.is_dir():
        raise ConfigError(
            f"--prior={prior!r} needs the validation cells of a run, and "
            f"{str(run)!r} is a file of weights; give the run, or no --prior"
        )
    calibration = read_calibration(run)
    if calibration.classes != classes:
        raise ConfigError(
            f"the calibration of {str(run)!r} is of other classes than its network; "
            "train it in another workdir"
        )
    shares = _prior(prior, calibration)
    return CellColumns(
        calibration,
        shares,
        detector,
        f"temperature {calibration.temperature:.3g}, prior {prior}",
    )


def _prior(asked: str, calibration: Calibration) -> np.ndarray | None:
    trained = calibration.train_shares > 0
    if asked == TRAIN:
        return None
    if asked == EVEN:
        return trained / trained.sum()
    path = Path(asked)
    table = read_user_table(path, ("class", "share"))
    name, share = (table.header.index(column) for column in ("class", "share"))
    shares = dict.fromkeys(calibration.classes, 0.0)
    for line, row in zip(table.lines, table.rows, strict=True):
        if row[name] not in shares:
            raise DataError(
                f"{path}, line {line}: {row[name]!r} is no class of the run; use "
                f"{', '.join(shares)}"
            )
        shares[row[name]] = _number(row[share], f"{path}, line {line}")
    prior = np.array(list(shares.values()))
    if not prior.sum() > 0:
        raise DataError(f"{path}: the shares sum to {prior.sum():g}; give some above 0")
    if np.any(prior[~trained] > 0):
        never = np.array(calibration.classes)[~trained & (prior > 0)]
        raise DataError(
            f"{path}: the run has no training cell of {', '.join(never)}; give a share "
            "of 0"
        )
    return prior / prior.sum()


def _number(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise DataError(f"{place}: share is {text!r}; give a number from 0 on")
    return value
