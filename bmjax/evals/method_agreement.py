"""How well two counts, two readers or two methods agree.

Of labels of the same cells: Cohen's kappa. Of numbers of the same cases: bias and
limits of agreement (Bland and Altman), and a line through points that both err
(Passing and Bablok).
"""

import math
from typing import NamedTuple

import numpy as np

Ends = tuple[float, float]
FEWEST_LIMITS = 3  # cases: limits from two have intervals of no use; ours
_ROUNDING = 1e-12  # of a variance that is 0
FEWEST_LINE = 5  # cases: with 4 the interval of the slope has no ends at 95 %


class Kappa(NamedTuple):
    """Agreement beyond chance of two readers of the same cells."""

    value: float | None  # None where both give one class alone
    interval: Ends | None  # None too where the large-sample error is 0: all alike
    observed: float  # share of cells that they label alike


class Limits(NamedTuple):
    """Bland and Altman's: of second minus first."""

    bias: float
    bias_interval: Ends
    low: float  # the limits of agreement: 95 % of differences lie between them
    low_interval: Ends
    high: float
    high_interval: Ends


class Line(NamedTuple):
    """Passing and Bablok's: second = intercept + slope first."""

    slope: float
    slope_interval: Ends  # an end is infinite where the points do not bound it
    intercept: float
    intercept_interval: Ends


def kappa_of(table: np.ndarray, *, level: float = 0.95) -> Kappa:
    """Cohen's kappa (1960) with the large-sample interval of Fleiss et al. (1969).

    Args:
        table: int [N, N], cells by the first reader's class and the second's.
        level: of the interval.

    Raises:
        ValueError: there is no cell.
    """
    total = int(table.sum())
    if not total:
        raise ValueError("kappa needs a cell")
    shares = table / total
    first, second = shares.sum(axis=1), shares.sum(axis=0)
    observed, chance = float(np.trace(shares)), float(first @ second)
    if chance >= 1:
        return Kappa(None, None, observed)
    kappa = (observed - chance) / (1 - chance)
    rest = 1 - kappa
    same = np.sum(np.diag(shares) * (1 - (first + second) * rest) ** 2)
    # A cell in row i and column j has the weight (second[i] + first[j])^2.
    weights = (second[:, None] + first[None, :]) ** 2
    other = rest**2 * np.sum((shares * weights)[~np.eye(len(table), dtype=bool)])
    variance = same + other - (kappa - chance * rest) ** 2
    if variance < _ROUNDING:
        return Kappa(kappa, None, observed)
    error = math.sqrt(float(variance) / total) / (1 - chance)
    half = _normal(level) * error
    return Kappa(kappa, (max(kappa - half, -1.0), min(kappa + half, 1.0)), observed)


def limits_of_agreement(
    first: np.ndarray, second: np.ndarray, *, level: float = 0.95
) -> Limits:
    """Bias and limits of agreement with their intervals (Bland and Altman 1986, 1999).

    The limits are bias -/+ 1.96 standard deviations of the differences; the standard
    error of a limit is s sqrt(1/n + z^2 / (2 (n - 1))), and intervals are of Student's
    t with n - 1 degrees of freedom.

    Args:
        first: float [n], of the cases.
        second: float [n].
        level: of the intervals; the limits hold 95 % of the differences always.

    Raises:
        ValueError: there are fewer than FEWEST_LIMITS cases.
    """
    from scipy.stats import t

    differences = np.asarray(second, float) - np.asarray(first, float)
    cases = len(differences)
    if cases < FEWEST_LIMITS:
        raise ValueError(f"limits of agreement need {FEWEST_LIMITS} cases")
    bias, spread = float(differences.mean()), float(differences.std(ddof=1))
    wide, quantile = _normal(0.95), float(t.ppf((1 + level) / 2, cases - 1))
    of_bias = quantile * spread / math.sqrt(cases)
    of_limit = quantile * spread * math.sqrt(1 / cases + wide**2 / (2 * (cases - 1)))
    low, high = bias - wide * spread, bias + wide * spread
    return Limits(
        bias,
        (bias - of_bias, bias + of_bias),
        low,
        (low - of_limit, low + of_limit),
        high,
        (high - of_limit, high + of_limit),
    )


def passing_bablok(
    first: np.ndarray, second: np.ndarray, *, level: float = 0.95
) -> Line | None:
    """The line of Passing and Bablok (1983) through points that both err.

    Its slope is the median of the slopes of all pairs of points, shifted by the number
    of slopes below -1. This is the plain median of their angles from -45 degrees on,
    half a turn, and so it is computed: vertical pairs have an angle too. Pairs of equal
    points and slopes of -1 are left out, as in the paper. Of an even number the two
    middle angles are averaged, where the paper averages slopes: swapped methods then
    have the inverse slope exactly.

    Args:
        first: float [n], of the cases.
        second: float [n].
        level: of the intervals.

    Returns:
        None where there are fewer than FEWEST_LINE cases, or too many of them are equal
        for an interval, or the numbers do not rise together.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    cases = len(x)
    if cases < FEWEST_LINE:
        return None
    angles = _angles(x, y)
    number = len(angles)
    spread = math.sqrt(cases * (cases - 1) * (2 * cases + 5) / 18)
    place = round((number - _normal(level) * spread) / 2)
    if place < 1:
        return None
    middle = float(np.median(angles))
    if not 0 < middle < math.pi / 2:
        return None
    slope = math.tan(middle)
    steep, flat = float(angles[number - place]), float(angles[place - 1])
    high = math.tan(steep) if steep < math.pi / 2 else math.inf
    low = math.tan(flat)
    return Line(
        slope,
        (low, high),
        float(np.median(y - slope * x)),
        (
            float(np.median(y - high * x)) if math.isfinite(high) else -math.inf,
            float(np.median(y - low * x)),
        ),
    )


def _angles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Angles of the lines through each two points, ascending, in (-45, 135) degrees."""
    of, to = np.triu_indices(len(x), 1)
    across, up = x[to] - x[of], y[to] - y[of]
    kept = ((across != 0) | (up != 0)) & (across + up != 0)
    angles = np.arctan2(up[kept], across[kept])
    # A line has two directions: take the one above -45 degrees.
    angles = np.where(angles < -math.pi / 4, angles + math.pi, angles)
    angles = np.where(angles >= 3 * math.pi / 4, angles - math.pi, angles)
    return np.sort(angles)


def _normal(level: float) -> float:
    """The quantile of the normal distribution for a two-sided interval."""
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))
