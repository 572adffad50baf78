"""What a run's kept files add to each cell that it names.

The one place where calibration, distance, sets and abstention come in.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.user_tables import read_user_table
from bmjax.encoder import Encoder, Outputs
from bmjax.errors import ConfigError, DataError
from bmjax.evals.calibration_file import (
    FILE,
    Calibration,
    calibrated,
    read_calibration,
)
from bmjax.evals.cell_trust import Trust, read_trust
from bmjax.evals.detector_file import (
    DETECTOR_FILE,
    Detector,
    distances,
    read_detector,
)
from bmjax.evals.kept_file import check_made_by
from bmjax.evals.trust_defaults import DOUBTFUL_ERROR, SET_LEVEL
from bmjax.files import plain_cell, without_dot
from bmjax.predict.nearest_prototype import Prototypes

TRAIN, EVEN, NONE = "train", "even", "none"


class CellColumns(NamedTuple):
    """What is known of the run beside its network.

    Attributes:
        calibration: None: probabilities stay as the network gives them.
        prior: float [N], of the cells in use; None: that of the training part.
        trust: None: it is not known which cells are doubtful, and there are no sets.
        prototypes: None: the run's method has none.
        detector: None: there are no distances.
        described: by what the probabilities are calibrated; "" where they are not.
    """

    calibration: Calibration | None = None
    prior: np.ndarray | None = None
    trust: Trust | None = None
    prototypes: Prototypes | None = None
    detector: Detector | None = None
    described: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns after the probabilities."""
        of_trust = () if self.trust is None else ("doubtful", "set")
        of_nearest = () if self.prototypes is None else ("prototype", "cosine")
        far = () if self.detector is None else ("distance",)
        return of_trust + of_nearest + far

    @property
    def settings(self) -> list[float]:
        """What the columns were asked for by: error and level."""
        return [] if self.trust is None else [self.trust.error, self.trust.level]

    def of(self, encoder: Encoder, outputs: Outputs) -> "CellValues":
        """What is known of each cell of a batch."""
        rows = encoder.probabilities(outputs)
        if self.calibration is not None:
            rows = calibrated(rows, self.calibration, self.prior)
        doubtful = sets = nearest = far = None
        if self.trust is not None:
            doubtful, sets = self.trust.apply(rows)
        if self.prototypes is not None:
            nearest = self.prototypes.nearest(outputs["features"])
        if self.detector is not None:
            far = distances(self.detector, outputs["features"])
        return CellValues(rows, doubtful, sets, nearest, far)


class CellValues(NamedTuple):
    """What is known of the cells of a batch; None where there is no such column."""

    probabilities: np.ndarray  # float32 [B, N]
    doubtful: np.ndarray | None  # bool [B]
    sets: np.ndarray | None  # bool [B, N]
    nearest: tuple[np.ndarray, np.ndarray] | None  # prototypes' numbers, cosines [B]
    distances: np.ndarray | None  # float32 [B]

    def cells(self, number: int, classes: tuple[str, ...]) -> tuple[str, ...]:
        """The cells of the row of image `number`, after the probabilities."""
        cells: tuple[str, ...] = ()
        if self.doubtful is not None and self.sets is not None:
            names = " | ".join(classes[i] for i in self.sets[number].nonzero()[0])
            cells += (str(int(self.doubtful[number])), plain_cell(names))
        if self.nearest is not None:
            prototypes, cosines = self.nearest
            cells += (str(prototypes[number]), f"{cosines[number]:.4f}")
        if self.distances is not None:
            cells += (f"{self.distances[number]:.1f}",)
        return cells


def read_columns(
    run: Path,
    classes: tuple[str, ...],
    prior: str,
    *,
    error: float | None = None,
    level: float | None = None,
    adapted: bool = False,
    digest: str = "",
    prototypes: Prototypes | None = None,
) -> CellColumns:
    """Read what a run has kept for use on new cells.

    Args:
        run: its workdir, or a file of weights, which has nothing beside it.
        classes: that the network names.
        prior: "train", "even" or a CSV with the columns class and share: probabilities
            are calibrated, for these shares of the classes. "none": they are as the
            network gives them. "": "train" where the run has validation cells.
        error: share of wrong names among cells that are not doubtful; None:
            DOUBTFUL_ERROR, where the run has validation cells.
        level: share of cells of each class whose set holds it; None: SET_LEVEL,
            likewise.
        adapted: the network has adapters, and is not the one that the run's cells went
            through: nothing that the run kept is of it.
        digest: of the parameters that are in use, `Encoder.params_digest`; "": whose
            the kept files are is not looked at.
        prototypes: of the run.

    Raises:
        ConfigError: a prior, an error or a level is asked for, and the run has no
            validation cells, or adapters.
        CheckpointError: a kept file is damaged, or of other parameters.
        DataError: the prior's table cannot be used.
    """
    asked = [
        f"--{name}={value}"
        for name, value in (("prior", prior), ("error", error), ("set-level", level))
        if value not in ("", NONE, None)
    ]
    if asked and not run.is_dir():
        raise ConfigError(
            f"{asked[0]} needs the validation cells of a run, and {str(run)!r} is a "
            f"file of weights; give the run, or no --{asked[0][2:].split('=')[0]}"
        )
    if asked and adapted:
        raise ConfigError(
            f"{asked[0]} needs validation cells that went through the adapters, and a "
            "file of adapters has none; leave it out"
        )
    if adapted:
        return CellColumns()
    detector = read_detector(run) if (run / DETECTOR_FILE).exists() else None
    if detector is not None:
        check_made_by(run / DETECTOR_FILE, detector.digest, digest)
    none = CellColumns(prototypes=prototypes, detector=detector)
    kept = _kept(run, classes, needed=bool(asked))
    if kept is None:
        return none
    check_made_by(run / FILE, kept.digest, digest)
    raw, prior = prior == NONE, prior or TRAIN
    shares = None if raw else _prior(prior, kept)
    # Doubt is of the names that are written: by probabilities made as they are.
    known = kept.probabilities
    trust = read_trust(
        known if raw else calibrated(known, kept, shares),
        kept.labels,
        DOUBTFUL_ERROR if error is None else error,
        SET_LEVEL if level is None else level,
    )
    if raw:
        return none._replace(trust=trust)
    return none._replace(
        calibration=kept,
        prior=shares,
        trust=trust,
        described=f"temperature {kept.temperature:.3g}, prior {prior}",
    )


def _kept(run: Path, classes: tuple[str, ...], *, needed: bool) -> Calibration | None:
    """A run's calibration; None where it has none that fits and none is needed."""
    if not needed and not (run / FILE).exists():
        return None
    try:
        calibration = read_calibration(run)
    except ConfigError:
        if needed:
            raise
        return None
    if calibration.classes == classes:
        return calibration
    if needed:
        raise ConfigError(
            f"the calibration of {str(run)!r} is of other classes than its network; "
            "train it in another workdir"
        )
    return None


def _prior(asked: str, calibration: Calibration) -> np.ndarray | None:
    trained = calibration.train_shares > 0
    if asked == TRAIN:
        return None
    if asked == EVEN:
        return trained / trained.sum()
    path = Path(asked)
    table = read_user_table(path, ("class", "share"))
    name, share = (table.header.index(column) for column in ("class", "share"))
    shares: dict[str, float] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        given, where = without_dot(row[name].strip()), f"{path}, line {line}"
        if given not in calibration.classes:
            raise DataError(
                f"{where}: {given!r} is no class of the run; use "
                f"{', '.join(calibration.classes)}"
            )
        if given in shares:
            raise DataError(f"{where}: {given!r} is named twice; keep one line of it")
        shares[given] = _number(row[share], where)
    prior = np.array([shares.get(one, 0.0) for one in calibration.classes])
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
