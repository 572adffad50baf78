"""Metrics of a classification: per class, and averages that say what they average."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.data.matek import RARE, class_name
from bmjax.evals.confusion import (
    AVERAGES,
    averages,
    class_metrics,
    confusion_matrix,
    mean_over,
)

THIRDS = ("head", "middle", "tail")


def classification_metrics(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, balanced accuracy and F1 averages, and precision, recall, F1 per class.

    Averages run over the classes that the test part holds. A class without any test
    image has None for all its metrics: it is absent, not zero. A class that is present
    and never predicted has precision and F1 zero, as in the authors' code.

    Args:
        labels: int [n], the truth.
        predicted: int [n].
        classes: folder names, by number.
    """
    return metrics_of_confusion(
        confusion_matrix(labels, predicted, len(classes)), classes
    )


def metrics_of_confusion(
    confusion: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """The same from the confusion matrix, int [N, N]."""
    by_class = class_metrics(confusion)
    means = averages(confusion, common_classes(by_class.support))

    def entry(number: int) -> dict[str, Any]:
        present = by_class.support[number] > 0
        shown = {
            name: float(getattr(by_class, name)[number]) if present else None
            for name in ("precision", "recall", "f1")
        }
        return {
            "abbreviation": classes[number],
            "name": class_name(classes[number]),
            "support": int(by_class.support[number]),
            **shown,
        }

    return {
        **{name: number_or_none(x) for name, x in zip(AVERAGES, means, strict=True)},
        "per_class": [entry(number) for number in range(len(classes))],
    }


def common_classes(support: np.ndarray) -> np.ndarray:
    """Which classes have enough test images for metrics of their own, bool [N]."""
    return np.asarray(support) >= RARE


def number_or_none(value: Any) -> float | None:
    """A metric for JSON; None where it is missing or not defined."""
    return None if value is None or np.isnan(value) else float(value)


def thirds(
    classes: Sequence[str], train_counts: dict[str, int]
) -> dict[str, list[str]]:
    """Head, middle and tail: thirds of the classes by training images (ours).

    Classes are ordered by their number of training images, then by name; where they do
    not divide by three, head and middle get the ones left over.
    """
    ordered = sorted(classes, key=lambda name: (-train_counts[name], name))
    parts = np.array_split(np.array(ordered, dtype=object), 3)
    return dict(zip(THIRDS, (list(part) for part in parts), strict=True))


def f1_by_frequency(
    per_class: Sequence[dict[str, Any]], train_counts: dict[str, int]
) -> dict[str, float | None]:
    """Macro F1 of the head, the middle and the tail (`thirds`).

    A class without test images is left out of its third; a third without any has None.

    Args:
        per_class: of `classification_metrics`.
        train_counts: training images by class folder.
    """
    f1 = {entry["abbreviation"]: entry["f1"] for entry in per_class}
    means: dict[str, float | None] = {}
    for name, third in thirds(list(f1), train_counts).items():
        values = [f1[member] for member in third if f1[member] is not None]
        means[name] = float(np.mean(values)) if values else None
    return means


def group_means(confusion: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean recall and mean F1 of groups of classes, over those that have images.

    Args:
        confusion: int [..., N, N].
        groups: bool [G, N], the classes of each group.

    Returns:
        [..., G, 2], recall then F1; NaN for a group without images.
    """
    metrics = class_metrics(confusion)
    which = (metrics.support > 0)[..., None, :] & groups
    return np.stack(
        [
            mean_over(metrics.recall[..., None, :], which),
            mean_over(metrics.f1[..., None, :], which),
        ],
        axis=-1,
    )


def roc_auc(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[float | None, list[float | None]]:
    """Area under the ROC curve, each class against the rest, and their mean.

    The mean runs over the classes that have images and are not all there is; for a
    class without images the area is not defined. Equal to the authors' `ovr`, `macro`
    where every class has images.

    Args:
        labels: int [n].
        probabilities: float [n, N].

    Returns:
        the mean, and the area of each class.
    """
    from scipy.stats import rankdata

    areas: list[float | None] = []
    for number in range(probabilities.shape[1]):
        positive = labels == number
        here, rest = int(positive.sum()), int((~positive).sum())
        if not here or not rest:
            areas.append(None)
            continue
        # The area is the fraction of pairs in the right order (Mann and Whitney).
        ranks = rankdata(probabilities[:, number])[positive].sum()
        areas.append(float((ranks - here * (here + 1) / 2) / (here * rest)))
    defined = [area for area in areas if area is not None]
    return (float(np.mean(defined)) if defined else None), areas
