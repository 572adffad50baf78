"""Shares that decide diagnoses, and what a count of so many cells says of them."""

from typing import NamedTuple

from bmjax.evals.intervals import clopper_pearson

BELOW, ABOVE, UNDECIDED = "below", "at or above", "undecided"
_MOST = 1_000_000  # cells; beyond it a number is no help


class ThresholdRule(NamedTuple):
    """A share of cells, in percent of all that count, and where it stands."""

    cells: str  # as in the table of countable classes
    percent: float
    source: str


# A verdict is on the share alone: each diagnosis asks for more than a share.
THRESHOLDS = (
    ThresholdRule("blasts", 5.0, "WHO: excess blasts (Vardiman et al. 2009)"),
    ThresholdRule("blasts", 10.0, "WHO: excess blasts 2 (Vardiman et al. 2009)"),
    ThresholdRule("blasts", 20.0, "WHO: acute myeloid leukemia (Vardiman et al. 2009)"),
    ThresholdRule("plasma cells", 10.0, "IMWG: myeloma (Rajkumar et al. 2014)"),
    ThresholdRule(
        "plasma cells", 60.0, "IMWG: myeloma, by itself (Rajkumar et al. 2014)"
    ),
    ThresholdRule(
        "erythroid cells", 50.0, "WHO 2008: erythroid leukemia (Vardiman et al. 2009)"
    ),
)


def verdict(low: float, high: float, percent: float) -> str:
    """Whether an interval lies below a threshold, at or above it, or holds it.

    Args:
        low: end of the interval, in percent.
        high: the other one.
        percent: the threshold.
    """
    if low >= percent:
        return ABOVE
    return BELOW if high < percent else UNDECIDED


def cells_to_decide(
    count: int, total: int, percent: float, *, level: float = 0.95
) -> int | None:
    """How many more cells would decide, if their share stayed what it is.

    Args:
        count: cells above or below the threshold so far.
        total: that count so far.
        percent: the threshold.
        level: of the interval.

    Returns:
        0 where it is decided; None where a million cells would not do, as at the
        threshold itself.
    """

    def decided(cells: int) -> bool:
        low, high = clopper_pearson(round(cells * count / total), cells, level=level)
        return verdict(100 * float(low), 100 * float(high), percent) != UNDECIDED

    if decided(total):
        return 0
    high = total
    while not decided(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high - total
