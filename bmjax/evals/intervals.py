"""How sure a figure is."""

from collections.abc import Callable

import numpy as np


def paired_bootstrap(
    figure: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Difference of a figure between two systems on the same images, with an interval.

    Images are drawn with replacement, the same ones for both systems (percentile
    bootstrap). An interval that holds 0 says that these images do not tell the systems
    apart; it does not speak of other training runs.

    Args:
        figure: (labels, predicted) -> a number.
        labels: int [n].
        first: int [n], predictions of one system.
        second: int [n], predictions of the other.
        draws: resamples.
        level: of the interval.
        seed: of the draws.

    Returns:
        figure(first) - figure(second), and the interval's two ends.
    """
    random = np.random.Generator(np.random.Philox(seed))
    differences = np.empty(draws)
    for draw in range(draws):
        rows = random.integers(0, len(labels), len(labels))
        differences[draw] = figure(labels[rows], first[rows]) - figure(
            labels[rows], second[rows]
        )
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return figure(labels, first) - figure(labels, second), float(low), float(high)


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of images called right."""
    return float(np.mean(labels == predicted))


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 of the classes that are among the labels."""
    size = int(max(labels.max(), predicted.max())) + 1
    matrix = np.bincount(labels * size + predicted, minlength=size * size)
    matrix = matrix.reshape(size, size)
    right, support = np.diag(matrix), matrix.sum(axis=1)
    f1 = 2 * right / np.maximum(support + matrix.sum(axis=0), 1)
    return float(f1[support > 0].mean())
