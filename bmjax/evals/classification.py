"""Figures of a classification: per class, and averages that say what they average."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.data.labels import RARE, class_name


def classification_figures(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, balanced accuracy and F1 averages, and precision, recall, F1 per class.

    Averages run over the classes that the test part holds. A class without any test
    image has None for all its figures: it is absent, not zero. A class that is present
    and never predicted has precision and F1 zero, as in the authors' code.

    Args:
        labels: int [n], the truth.
        predicted: int [n].
        classes: folder names, by number.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0
    )
    present = support > 0
    common = support >= RARE

    def mean(values: np.ndarray, which: np.ndarray) -> float | None:
        return float(values[which].mean()) if which.any() else None

    def entry(number: int) -> dict[str, Any]:
        figures = (precision[number], recall[number], f1[number])
        shown = [float(f) if present[number] else None for f in figures]
        return {
            "abbreviation": classes[number],
            "name": class_name(classes[number]),
            "support": int(support[number]),
            **dict(zip(("precision", "recall", "f1"), shown, strict=True)),
        }

    return {
        "accuracy": float(np.mean(labels == predicted)),
        "balanced_accuracy": mean(recall, present),
        "macro_f1": mean(f1, present),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_f1_without_rare": mean(f1, common),
        "per_class": [entry(number) for number in range(len(classes))],
    }


def f1_by_frequency(
    per_class: Sequence[dict[str, Any]], train_counts: dict[str, int]
) -> dict[str, float | None]:
    """Macro F1 of the head, the middle and the tail: thirds of the classes (ours).

    Classes are ordered by their number of training images, then by name; where they do
    not divide by three, head and middle get the ones left over. A class without test
    images is left out of its third; a third without any has None.

    Args:
        per_class: of `classification_figures`.
        train_counts: training images by class folder.
    """
    f1 = {entry["abbreviation"]: entry["f1"] for entry in per_class}
    ordered = sorted(f1, key=lambda name: (-train_counts[name], name))
    found: dict[str, float | None] = {}
    thirds = np.array_split(np.array(ordered), 3)
    for name, third in zip(("head", "middle", "tail"), thirds, strict=True):
        values = [f1[member] for member in third if f1[member] is not None]
        found[name] = float(np.mean(values)) if values else None
    return found
