"""How sure a figure is, and whether two systems differ.

Resampling n images with replacement changes nothing but the counts in the cells of the
confusion matrix, which are then multinomial: a draw costs the number of cells, not the
number of images.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bmjax.evals.confusion import averages

Numbers = np.ndarray | Sequence | int | float | np.number
Values = np.ndarray | float  # a number for each figure, a float for a single one
Figure = Callable[[np.ndarray], Values]  # counts [..., N, N] -> [...] or [..., K]
_BLOCK = 2**22  # cells held at a time


class McNemar(NamedTuple):
    """Images that only one of two systems calls right, and an exact test."""

    first_only: int
    second_only: int
    p_value: float


class FoldDifference(NamedTuple):
    """A figure of one system minus another's, over folds."""

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


def bootstrap(
    confusion: np.ndarray,
    figure: Figure,
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Values, Values]:
    """Percentile interval of a figure, over images drawn with replacement.

    It speaks of other images, not of other training runs. A class of few images that
    are all right, or all wrong, is so in every draw that holds it: where such classes
    weigh much, the interval is too narrow, and the exact intervals of the classes say
    so. A class without images in a draw is left out of the averages of that draw, and
    a draw in which a figure is not defined is left out of its interval.

    Args:
        confusion: int [N, N], truth by prediction.
        figure: of matrices of counts [D, N, N], giving [D], or [D, K] for K figures.
        draws: resamples.
        level: of the interval.
        seed: of the draws.

    Returns:
        the interval's lower and upper ends, [] or [K]; NaN if never defined.
    """
    counts = np.asarray(confusion, np.int64)
    values = np.concatenate(
        [
            figure(drawn.reshape(-1, *counts.shape))
            for drawn in _resampled(counts.ravel(), draws, seed, counts.size)
        ]
    )
    return _percentiles(values, level)


def paired_bootstrap(
    figure: Figure,
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Values, Values, Values]:
    """Difference of a figure between two systems on the same images, with an interval.

    Images are drawn with replacement, the same ones for both systems (percentile
    bootstrap over the cells of truth, first and second prediction). An interval that
    holds 0 says that these images do not tell the systems apart; it does not speak of
    other training runs.

    Args:
        figure: of matrices of counts [D, N, N], giving [D], or [D, K] for K figures.
        labels: int [n].
        first: int [n], predictions of one system.
        second: int [n], predictions of the other.
        draws: resamples.
        level: of the interval.
        seed: of the draws.

    Returns:
        figure(first) - figure(second), and the interval's two ends; [] or [K] each.
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
        return figure(matrices[0]) - figure(matrices[1])

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
    """Difference of a figure between two systems, from its values on the same folds.

    Folds share most of their training images, so that their figures are not
    independent and the plain t interval is too narrow; Nadeau and Bengio (2003) add
    n_test / n_train to 1 / k in the variance of the mean for that, which is a rule and
    no proof. The bootstrap draws folds with replacement; with five folds it has 126
    different draws and is too narrow too. Look at the corrected interval first.

    Args:
        first: float [k], the figure of one system on each fold.
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
    return averages(confusion)[..., 0]


def macro_f1(confusion: np.ndarray) -> Values:
    """Mean F1 of the classes that have images, of counts [..., N, N]."""
    return averages(confusion)[..., 2]


def _resampled(
    counts: np.ndarray, draws: int, seed: int, width: int
) -> Iterator[np.ndarray]:
    """Counts of `draws` resamples, some at a time, int64 [D, cells]."""
    random = np.random.Generator(np.random.Philox(seed))
    filled = np.flatnonzero(counts)
    total = int(counts.sum())
    block = max(1, _BLOCK // max(width, 1))
    for start in range(0, draws, block):
        drawn = np.zeros((min(block, draws - start), len(counts)), np.int64)
        drawn[:, filled] = random.multinomial(
            total, counts[filled] / total, size=len(drawn)
        )
        yield drawn


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
