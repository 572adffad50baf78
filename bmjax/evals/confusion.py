"""Figures of confusion matrices, any number of matrices at once.

All figures of a classification but ROC AUC and calibration are functions of its
confusion matrix, so that resampling images is resampling its cells.
"""

from typing import NamedTuple

import numpy as np

# The averages of `averages`, in this order.
AVERAGES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_f1_without_rare",
)


class ClassFigures(NamedTuple):
    """Figures of each class, all [..., N]; 0 where nothing is divided by nothing."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    right: np.ndarray  # images of the class that are called so
    support: np.ndarray  # images of the class
    called: np.ndarray  # images that are called so


def confusion_matrix(
    labels: np.ndarray, predicted: np.ndarray, count: int
) -> np.ndarray:
    """Count images by truth (rows) and prediction (columns).

    Args:
        labels: int [n], the truth.
        predicted: int [n].
        count: N, the number of classes.

    Returns:
        int64 [N, N].
    """
    cells = np.asarray(labels, np.int64) * count + np.asarray(predicted, np.int64)
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def class_figures(confusion: np.ndarray) -> ClassFigures:
    """Precision, recall and F1 of each class, from counts [..., N, N]."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return figures_of_counts(right, confusion.sum(axis=-1), confusion.sum(axis=-2))


def figures_of_counts(
    right: np.ndarray, support: np.ndarray, called: np.ndarray
) -> ClassFigures:
    """The same from the three counts of each class, [..., N] each."""
    precision = right / np.maximum(called, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + called, 1)
    return ClassFigures(precision, recall, f1, right, support, called)


def averages(confusion: np.ndarray, common: np.ndarray | None = None) -> np.ndarray:
    """The figures named in AVERAGES, [..., 5]; NaN where one is not defined.

    Averages run over the classes that have images; `macro_f1_without_rare` over those
    that are also in `common`, bool [N] (none: it is not defined).
    """
    found = class_figures(confusion)
    present = found.support > 0
    total = np.maximum(found.support.sum(axis=-1), 1)
    shown = present & common if common is not None else np.zeros_like(present)
    return np.stack(
        [
            found.right.sum(axis=-1) / total,
            mean_over(found.recall, present),
            mean_over(found.f1, present),
            (found.f1 * found.support).sum(axis=-1) / total,
            mean_over(found.f1, shown),
        ],
        axis=-1,
    )


def mean_over(values: np.ndarray, which: np.ndarray) -> np.ndarray | float:
    """Mean along the last axis of the values that count; NaN where none does."""
    count = which.sum(axis=-1)
    total = np.where(which, values, 0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
