"""Sets of classes that hold the true one as often as asked for (conformal prediction).

A class is in a cell's set where 1 - p(class) is at most a threshold, which is the
quantile of 1 - p(label) over validation cells (Sadinle, Lei and Wasserman 2019, least
ambiguous sets). One threshold for all classes holds the share over all cells; one for
each class holds it within each class (Vovk 2012), where a class with too few validation
cells is in every set. Both hold for cells drawn as the validation cells were.
"""

import math

import numpy as np


def fewest_cells(level: float) -> int:
    """Validation cells below which a class is in every set: 9 for 0.9, 19 for 0.95."""
    return math.ceil(level / (1 - level) - 1e-9)


def set_thresholds(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    level: float = 0.9,
    by_class: bool = False,
) -> np.ndarray:
    """Thresholds of 1 - p(class) from validation cells.

    Args:
        probabilities: float [V, N].
        labels: int [V].
        level: share of cells whose set is to hold their class.
        by_class: one threshold for each class instead of one for all.

    Returns:
        float [N]; infinite where there are too few cells.
    """
    classes = probabilities.shape[1]
    scores = 1 - probabilities[np.arange(len(labels)), labels].astype(float)
    if not by_class:
        return np.full(classes, _quantile(scores, level))
    return np.array([_quantile(scores[labels == i], level) for i in range(classes)])


def prediction_sets(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which classes are in each cell's set, bool [n, N].

    Args:
        probabilities: float [n, N], made as those of the validation cells.
        thresholds: of `set_thresholds`.
    """
    return 1 - probabilities.astype(float) <= thresholds[None]


def _quantile(scores: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score; infinite where there is none."""
    place = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else math.inf
