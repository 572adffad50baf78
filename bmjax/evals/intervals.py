"""How sure a metric is, and whether two systems differ.

Resampling n images with replacement changes nothing but the counts in the cells of the
confusion matrix, which are then multinomial: a draw costs the number of cells, not the
number of images.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bmjax.evals.confusion import (
    AVERAGES,
    ClassMetrics,
    Counts,
    averages,
    metrics_of_counts,
)

Numbers = np.ndarray | Sequence | int | float | np.number
Values = np.ndarray | float  # a number for each metric, a float for a single one
Statistic = Callable[[np.ndarray], Values]  # counts [..., N, N] -> [...] or [..., K]
_BLOCK = 2**22  # cells held at a time


class McNemar(NamedTuple):
    """Images that only one of two systems calls right, and an exact test."""

    first_only: int
    second_only: int
    p_value: float


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


def clopper_pearson(
    successes: Numbers, trials: Numbers, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of a proportion (Clopper and Pearson 1934).

    It holds the true proportion with a probability of `level` or more, whatever the
    proportion and however few the trials. No trials say nothing: 0 to 1.

    Args:
        successes: int [...].
        trials: int [...], not fewer.
        level: of the interval.

    Returns:
        its lower and upper ends, float [...].
    """
    from scipy.special import betaincinv

    right, wrong = np.broadcast_arrays(
        np.asarray(successes, float), np.asarray(trials, float) - np.asarray(successes)
    )
    tail = (1 - level) / 2
    # The inverse is not defined at 0; maximum(., 1) only fills what is thrown away.
    low = betaincinv(np.maximum(right, 1), wrong + 1, tail)
    high = betaincinv(right + 1, np.maximum(wrong, 1), 1 - tail)
    return np.where(right > 0, low, 0.0), np.where(wrong > 0, high, 1.0)


def exact_class_intervals(
    counts: Counts, *, level: float = 0.95
) -> dict[str, list[list[float] | None]]:
    """Exact intervals of precision, recall and F1 of each class.

    F1 = 2 J / (1 + J) rises with J, the fraction of correct predictions among the
    images that are of the class or predicted as it; given how many these are, it is a
    proportion like recall.

    Args:
        counts: int [N] each.
        level: of the intervals.

    Returns:
        by metric, [low, high] for each class; None for a class without images, and for
        the precision of one that is never predicted.
    """
    either = counts.support + counts.predicted - counts.correct
    precision, recall, jaccard = (
        np.stack(clopper_pearson(counts.correct, trials, level=level), axis=-1)
        for trials in (counts.predicted, counts.support, either)
    )
    present = np.asarray(counts.support) > 0
    defined = {
        "precision": (precision, present & (np.asarray(counts.predicted) > 0)),
        "recall": (recall, present),
        "f1": (2 * jaccard / (1 + jaccard), present),
    }
    return {
        name: [
            ends.tolist() if known else None
            for ends, known in zip(values, which, strict=True)
        ]
        for name, (values, which) in defined.items()
    }


def bootstrap_counts(
    counts: Counts,
    statistics: Callable[[ClassMetrics], Mapping[str, np.ndarray]],
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[Values, Values]]:
    """Percentile intervals where no more than the counts of each class is known.

    For each draw, the correct predictions of a class are binomial of its n images, and
    the images of other classes that are predicted as it are binomial of all other
    images, each with the fraction that was counted; classes are drawn by themselves. A
    class of which all or none is correct stays so in every draw: such an interval is
    too narrow, and the exact ones of the classes say by how much.

    Args:
        counts: int [N] each, of classes that have images.
        statistics: of metrics [D, N], giving [D] by name.
        draws: resamples.
        level: of the intervals.
        seed: of the draws.
    """
    correct, support, predicted = counts
    others = support.sum() - support
    random = _frozen_stream(seed)
    size = (draws, len(support))

    def binomial(trials: np.ndarray, fraction: np.ndarray) -> np.ndarray:
        drawn = np.zeros(size, np.int64)
        possible = np.flatnonzero(fraction)
        drawn[:, possible] = random.binomial(
            trials[possible], fraction[possible], (draws, len(possible))
        )
        return drawn

    hits = binomial(support, correct / support)
    false_hits = binomial(others, (predicted - correct) / np.maximum(others, 1))
    drawn = metrics_of_counts(hits, np.broadcast_to(support, size), hits + false_hits)
    return {
        name: _percentiles(values, level) for name, values in statistics(drawn).items()
    }


def bootstrap(
    confusion: np.ndarray,
    statistic: Statistic,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Values, Values]:
    """Percentile interval of a metric, over images drawn with replacement.

    It speaks of other images, not of other training runs. A class of few images that
    are all right, or all wrong, is so in every draw that holds it: where such classes
    weigh much, the interval is too narrow, and the exact intervals of the classes say
    so. A class without images in a draw is left out of the averages of that draw, and
    a draw in which a metric is not defined is left out of its interval.

    Args:
        confusion: int [N, N], truth by prediction.
        statistic: of matrices of counts [D, N, N], giving [D] or, of K, [D, K].
        draws: resamples.
        level: of the interval.
        seed: of the draws.

    Returns:
        the interval's lower and upper ends, [] or [K]; NaN if never defined.
    """
    counts = np.asarray(confusion, np.int64)
    values = np.concatenate(
        [
            statistic(drawn.reshape(-1, *counts.shape))
            for drawn in _resampled(counts.ravel(), draws, seed, counts.size)
        ]
    )
    return _percentiles(values, level)


def paired_bootstrap(
    statistic: Statistic,
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Values, Values, Values]:
    """Difference of a metric between two systems on the same images, with an interval.

    Images are drawn with replacement, the same ones for both systems (percentile
    bootstrap over the cells of truth, first and second prediction). An interval that
    holds 0 says that these images do not tell the systems apart; it does not speak of
    other training runs.

    Args:
        statistic: of matrices of counts [D, N, N], giving [D] or, of K, [D, K].
        labels: int [n].
        first: int [n], predictions of one system.
        second: int [n], predictions of the other.
        draws: resamples.
        level: of the interval.
        seed: of the draws.

    Returns:
        the first's minus the second's, and the interval's two ends; [] or [K] each.
    """
    size = int(max(labels.max(), first.max(), second.max())) + 1
    names = np.stack([labels, first, second]).astype(np.int64)
    cells, counts = np.unique(names, axis=1, return_counts=True)
    truth, one, other = cells
    places = [truth * size + one, truth * size + other]

    def difference(drawn: np.ndarray) -> Values:
        matrices = []
        for place in places:
            matrix = np.zeros((len(drawn), size * size), np.int64)
            # Cells that differ only in the other system's prediction share a place.
            order = np.argsort(place, kind="stable")
            starts = np.flatnonzero(np.diff(place[order], prepend=-1))
            matrix[:, place[order][starts]] = np.add.reduceat(
                drawn[:, order], starts, axis=1
            )
            matrices.append(matrix.reshape(-1, size, size))
        return statistic(matrices[0]) - statistic(matrices[1])

    width = max(size * size, len(counts))
    values = np.concatenate(
        [difference(drawn) for drawn in _resampled(counts, draws, seed, width)]
    )
    low, high = _percentiles(values, level)
    return difference(counts[None])[0], low, high


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> McNemar:
    """Exact test of equal accuracy on the same images (McNemar 1947).

    Of the images that only one system calls right, half should be each system's: a
    binomial test of that, two-sided. Without such images the p-value is 1.
    """
    from scipy.stats import binomtest

    right, other = first == labels, second == labels
    one, two = int(np.sum(right & ~other)), int(np.sum(other & ~right))
    p_value = binomtest(one, one + two).pvalue if one + two else 1.0
    return McNemar(one, two, float(p_value))


def paired_over_folds(
    first: Numbers,
    second: Numbers,
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
    low, high = _percentiles(drawn, level)
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


def accuracy(confusion: np.ndarray) -> Values:
    """Share of images called right, of counts [..., N, N]."""
    return averages(confusion)[..., AVERAGES.index("accuracy")]


def macro_f1(confusion: np.ndarray) -> Values:
    """Mean F1 of the classes that have images, of counts [..., N, N]."""
    return averages(confusion)[..., AVERAGES.index("macro_f1")]


def _resampled(
    counts: np.ndarray, draws: int, seed: int, width: int
) -> Iterator[np.ndarray]:
    """Counts of `draws` resamples, some at a time, int64 [D, cells]."""
    random = _frozen_stream(seed)
    filled = np.flatnonzero(counts)
    total = int(counts.sum())
    block = max(1, _BLOCK // max(width, 1))
    for start in range(0, draws, block):
        drawn = np.zeros((min(block, draws - start), len(counts)), np.int64)
        drawn[:, filled] = random.multinomial(
            total, counts[filled] / total, size=len(drawn)
        )
        yield drawn


def _frozen_stream(seed: int) -> np.random.RandomState:
    """Random numbers that are the same with every release of NumPy.

    NumPy promises that of RandomState alone (its enhancement proposal 19): with 2.5,
    Generator draws other binomial numbers than before.
    """
    return np.random.RandomState(np.random.Philox(seed))


def _percentiles(values: np.ndarray, level: float) -> tuple[Values, Values]:
    ends = [(1 - level) / 2, (1 + level) / 2]
    defined = ~np.isnan(values).all(axis=0)
    if defined.ndim == 0:
        if not defined:
            return np.nan, np.nan
        low, high = np.nanquantile(values, ends)
        return low, high
    found = np.full((2, values.shape[1]), np.nan)
    found[:, defined] = np.nanquantile(values[:, defined], ends, axis=0)
    return found[0], found[1]
