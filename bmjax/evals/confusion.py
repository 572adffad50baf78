"""Metrics of confusion matrices, any number of matrices at once.

All metrics of a classification but ROC AUC and calibration are functions of its
confusion matrix, so that resampling images is resampling its cells. Most need no more
than three counts of each class, which published tables give too.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# The averages that results.json, its intervals and the pages have, in this order;
# docs/adding-a-metric.md adds one.
AVERAGES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_f1_without_rare",
)
# Every average of `average_metrics`, in words.
AVERAGE_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",  # balanced accuracy, as some publications call it
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "macro_f1_without_ABE": "macro F1 without ABE",
    "macro_f1_without_rare": "macro F1 without rare classes",
}


class Counts(NamedTuple):
    """All that most metrics need of a system: counts of each class, int [..., N]."""

    correct: np.ndarray  # images of the class that are predicted as it
    support: np.ndarray  # images of the class
    predicted: np.ndarray  # images that are predicted as it


class ClassMetrics(NamedTuple):
    """Metrics of each class, all [..., N]; 0 where the denominator is 0.

    Those of a publication that does not give all of them are None.
    """

    precision: np.ndarray | None
    recall: np.ndarray | None
    f1: np.ndarray
    correct: np.ndarray | None  # as in `Counts`
    support: np.ndarray
    predicted: np.ndarray | None


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


def counts_of(confusion: np.ndarray) -> Counts:
    """The counts of each class, from confusion matrices, int [..., N, N]."""
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    return Counts(correct, confusion.sum(axis=-1), confusion.sum(axis=-2))


def class_metrics(confusion: np.ndarray) -> ClassMetrics:
    """Precision, recall and F1 of each class, from counts [..., N, N]."""
    return metrics_of_counts(*counts_of(confusion))


def metrics_of_counts(
    correct: np.ndarray, support: np.ndarray, predicted: np.ndarray
) -> ClassMetrics:
    """The same from the three counts of each class, [..., N] each."""
    precision = correct / np.maximum(predicted, 1)
    recall = correct / np.maximum(support, 1)
    f1 = 2 * correct / np.maximum(support + predicted, 1)
    return ClassMetrics(precision, recall, f1, correct, support, predicted)


def averages(confusion: np.ndarray, common: np.ndarray | None = None) -> np.ndarray:
    """The averages named in AVERAGES, [..., their number]; NaN where not defined.

    Averages run over the classes that have images; `macro_f1_without_rare` over those
    that are also in `common`, bool [N] (None: it is not defined).
    """
    metrics = class_metrics(confusion)
    if common is None:
        common = np.zeros(confusion.shape[-1], bool)
    means = average_metrics(metrics, {"rare": common})
    return np.stack([means[name] for name in AVERAGES], axis=-1)


def average_metrics(
    metrics: ClassMetrics, without: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray | float]:
    """Averages over the classes that have images, by name; NaN where not defined.

    Args:
        metrics: of each class. An average that needs one that is None is left out;
            without counts, accuracy is the mean recall, weighted by images.
        without: which classes macro F1 is averaged over once more, bool [N], by what
            is left out: `rare` gives `macro_f1_without_rare`.

    Returns:
        averages [...] by their name in AVERAGE_TITLES.
    """
    support = metrics.support
    present = support > 0
    means = {
        "macro_f1": mean_over(metrics.f1, present),
        "weighted_f1": _weighted_mean(metrics.f1, support),
    }
    if metrics.precision is not None:
        means["macro_precision"] = mean_over(metrics.precision, present)
    if metrics.recall is not None:
        means["macro_recall"] = mean_over(metrics.recall, present)
        means["balanced_accuracy"] = means["macro_recall"]
        means["accuracy"] = (
            _weighted_mean(metrics.recall, support)
            if metrics.correct is None
            else metrics.correct.sum(axis=-1) / np.maximum(support.sum(axis=-1), 1)
        )
    for name, kept in without.items():
        means[f"macro_f1_without_{name}"] = mean_over(metrics.f1, present & kept)
    return means


def _weighted_mean(values: np.ndarray, support: np.ndarray) -> np.ndarray | float:
    """The mean over the images: of each class's value, weighted by its images."""
    total = np.maximum(support.sum(axis=-1), 1)
    return np.where(support > 0, values * support, 0).sum(axis=-1) / total


def mean_over(values: np.ndarray, which: np.ndarray) -> np.ndarray | float:
    """Mean along the last axis of the values that count; NaN where none does."""
    count = which.sum(axis=-1)
    total = np.where(which, values, 0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
