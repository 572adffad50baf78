"""Which names of cells are to be trusted, and which classes a cell may be of."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bmjax.evals.abstention import accepting_threshold
from bmjax.evals.conformal import prediction_sets, set_thresholds
from bmjax.evals.trust_defaults import SET_LEVEL


class Trust(NamedTuple):
    """What the validation cells say of probabilities.

    Attributes:
        error: share of names that may be wrong among those that are not doubtful.
        threshold: names with this probability or more are wrong as seldom as asked
            for; None where there is no such one.
        sets: float [N], the threshold of each class's set.
        level: share of cells of each class whose set holds it.
    """

    error: float
    threshold: float | None
    sets: np.ndarray
    level: float

    def apply(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether each cell is doubtful, bool [n], and its set, bool [n, N]."""
        sure = probabilities.max(axis=1)
        doubtful = np.ones(len(sure), bool)
        if self.threshold is not None:
            doubtful = ~(sure >= self.threshold)  # no number is not sure
        return doubtful, prediction_sets(probabilities, self.sets)

    def everywhere(self, classes: Sequence[str]) -> list[str]:
        """Classes that are in every set, for want of validation cells."""
        return [name for name, t in zip(classes, self.sets, strict=True) if np.isinf(t)]


def read_trust(
    shares: np.ndarray, labels: np.ndarray, error: float, level: float = SET_LEVEL
) -> Trust:
    """Work out both thresholds from a run's validation cells.

    Args:
        shares: float [V, N], their calibrated probabilities.
        labels: int [V].
        error: share of names that may be wrong among those that are not doubtful.
        level: share of cells of each class whose set is to hold it.
    """
    correct = shares.argmax(axis=1) == labels
    return Trust(
        error,
        accepting_threshold(shares.max(axis=1), correct, error=error),
        set_thresholds(shares, labels, level=level, by_class=True),
        level,
    )
