"""From which probability on a name is to be trusted: thresholds, and what they cost."""

from typing import NamedTuple

import numpy as np

from bmjax.evals.intervals import clopper_pearson

_GRID = 20  # shares of accepted cells that are tried; ours


class RiskCoverage(NamedTuple):
    """Error among the cells that are accepted, by how many these are.

    Attributes:
        threshold: float [n], the least probability that is accepted, falling.
        coverage: float [n], share of cells that are accepted.
        risk: float [n], share of these that are wrong.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> RiskCoverage:
    """The curve of El-Yaniv and Wiener (2010), a point for each number of cells.

    Args:
        confidence: float [n], the highest probability of each cell.
        correct: bool [n].
    """
    order = np.argsort(-confidence, kind="stable")
    accepted = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~correct[order].astype(bool))
    return RiskCoverage(
        confidence[order].astype(float), accepted / len(order), wrong / accepted
    )


def accepting_threshold(
    confidence: np.ndarray, correct: np.ndarray, *, error: float, level: float = 0.95
) -> float | None:
    """The lowest threshold that keeps the error among accepted cells.

    Twenty shares of accepted cells are tried, the largest first; one is good where the
    exact upper bound of its error is at most the one asked for. The bounds are taken at
    1 - (1 - level) / 20 each, so that they hold together.

    Args:
        confidence: float [V], the highest probability of validation cells.
        correct: bool [V].
        error: share of accepted cells that may be wrong.
        level: probability, over validation cells, that it is kept.

    Returns:
        accept probabilities from it on; None where no threshold will do.
    """
    if not len(confidence):
        return None
    ordered = np.sort(confidence)[::-1]
    both_sided = 1 - 2 * (1 - level) / _GRID
    for share in np.arange(_GRID, 0, -1) / _GRID:
        threshold = float(ordered[max(int(share * len(ordered)), 1) - 1])
        accepted = confidence >= threshold
        wrong = int(np.sum(accepted & ~correct.astype(bool)))
        _, high = clopper_pearson(wrong, int(accepted.sum()), level=both_sided)
        if float(high) <= error:
            return threshold
    return None
