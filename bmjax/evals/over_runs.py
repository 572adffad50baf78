"""Metrics of several runs, folds or seeds: mean, deviation, difference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class FoldDifference(NamedTuple):
    """A metric of one system minus another's, over folds."""

    difference: float
    std: float  # of the differences, ddof 1
    folds: int
    t_interval: tuple[float, float]
    t_p_value: float
    corrected_interval: tuple[float, float]  # Nadeau and Bengio (2003)
    corrected_p_value: float
    bootstrap_interval: tuple[float, float]


def mean_and_sd(values: np.ndarray | Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sample standard deviation (ddof 1) over the first axis.

    Args:
        values: float [R, ...]; NaN where a run does not define the metric.

    Returns:
        both [...], over the runs that define it: the mean NaN where none does, the
        deviation NaN where fewer than two do.
    """
    values = np.asarray(values, float)
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    squares = np.where(defined, (values - mean) ** 2, 0).sum(axis=0)
    variance = squares / np.maximum(count - 1, 1)
    return mean, np.where(count > 1, np.sqrt(variance), np.nan)


def paired_over_folds(
    first: np.ndarray | Sequence,
    second: np.ndarray | Sequence,
    *,
    test_over_train: float | None = None,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> FoldDifference:
    """Difference of a metric between two systems, from its values on the same folds.

    Folds share most of their training images, so that their metrics are not
    independent and the plain t interval is too narrow; Nadeau and Bengio (2003) add
    n_test / n_train to 1 / k in the variance of the mean for that, which is a rule and
    no proof. The bootstrap draws folds with replacement; with five folds it has 126
    different draws and is too narrow too. Look at the corrected interval first.

    Args:
        first: float [k], the metric of one system on each fold.
        second: float [k], the other's on the same folds.
        test_over_train: n_test / n_train; 1 / (k - 1) if not given, as in k folds.
        draws: resamples of folds.
        level: of the intervals.
        seed: of the draws.

    Raises:
        ValueError: fewer than two folds, or not the same number.
    """
    from scipy.stats import t

    differences = np.asarray(first, float) - np.asarray(second, float)
    folds = len(differences)
    if folds < 2:
        raise ValueError(f"{folds} folds have no spread; give two or more")
    mean, std = float(differences.mean()), float(differences.std(ddof=1))
    ratio = 1 / (folds - 1) if test_over_train is None else test_over_train

    def with_error(error: float) -> tuple[tuple[float, float], float]:
        reach = float(t.ppf((1 + level) / 2, folds - 1)) * error
        if error == 0:
            return (mean, mean), 1.0 if mean == 0 else 0.0
        p_value = 2 * float(t.sf(abs(mean) / error, folds - 1))
        return (mean - reach, mean + reach), p_value

    plain, plain_p = with_error(std * np.sqrt(1 / folds))
    corrected, corrected_p = with_error(std * np.sqrt(1 / folds + ratio))
    random = np.random.Generator(np.random.Philox(seed))
    drawn = differences[random.integers(0, folds, (draws, folds))].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return FoldDifference(
        difference=mean,
        std=std,
        folds=folds,
        t_interval=plain,
        t_p_value=plain_p,
        corrected_interval=corrected,
        corrected_p_value=corrected_p,
        bootstrap_interval=(float(low), float(high)),
    )
