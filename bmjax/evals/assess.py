"""All metrics of one system, and of two beside each other, ready for JSON.

None stands for what is not defined: a metric of an absent class, an average over
nothing, probabilities that a system does not give.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bmjax.data.matek import RARE
from bmjax.errors import DataError
from bmjax.evals.calibration import calibration_metrics
from bmjax.evals.classification import (
    THIRDS,
    common_classes,
    group_means,
    metrics_of_confusion,
    number_or_none,
    roc_auc,
    thirds,
)
from bmjax.evals.confusion import (
    AVERAGES,
    averages,
    class_metrics,
    confusion_matrix,
    counts_of,
)
from bmjax.evals.intervals import (
    bootstrap,
    clopper_pearson,
    exact_class_intervals,
    mcnemar,
    paired_bootstrap,
)
from bmjax.evals.lineage import lineage_metrics
from bmjax.evals.predictions import Predictions, join
from bmjax.evals.ranking import decided_by


def assess(
    predictions: Predictions,
    *,
    train_counts: Mapping[str, int] | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Every metric of one system on one test part, with intervals.

    Args:
        predictions: of `read_predictions`.
        train_counts: training images by class, for head, middle and tail.
        draws: bootstrap resamples.
        level: of all intervals.
        seed: of the resamples.

    Returns:
        the metrics of `classification_metrics` under their names, each class with
        `predicted` and exact intervals of recall, precision and F1; `intervals` of the
        averages (bootstrap over images, but exact for accuracy); `by_frequency`;
        `roc_auc`; `confusion`; `absent` and `rare` classes; `lineage`; `calibration`;
        `notes`.

    Raises:
        DataError: `train_counts` lacks a class.
    """
    classes = predictions.classes
    confusion = confusion_matrix(
        predictions.labels, predictions.predicted, len(classes)
    )
    by_class = class_metrics(confusion)
    common = common_classes(by_class.support)
    groups = None if train_counts is None else _groups(classes, train_counts)

    def resampled(drawn: np.ndarray) -> np.ndarray:
        values = [averages(drawn, common)]
        if groups is not None:
            values.append(group_means(drawn, groups).reshape(len(drawn), -1))
        return np.concatenate(values, axis=-1)

    low, high = bootstrap(confusion, resampled, draws=draws, level=level, seed=seed)
    pairs = [_interval(*ends) for ends in zip(low, high, strict=True)]
    intervals = dict(zip(AVERAGES, pairs, strict=False))
    low, high = clopper_pearson(
        by_class.correct.sum(), len(predictions.labels), level=level
    )
    # Accuracy is a proportion: it needs no resampling.
    intervals["accuracy"] = [float(low), float(high)]
    metrics = metrics_of_confusion(confusion, classes)
    exact = exact_class_intervals(counts_of(confusion), level=level)
    for row, entry in enumerate(metrics["per_class"]):
        entry["predicted"] = int(by_class.predicted[row])
        entry |= {f"{name}_interval": ends[row] for name, ends in exact.items()}
    return {
        "images": len(predictions.labels),
        "classes": list(classes),
        "level": level,
        "draws": draws,
        "seed": seed,
        **metrics,
        "intervals": intervals,
        "by_frequency": (
            None
            if groups is None
            else _by_frequency(confusion, classes, groups, pairs[len(AVERAGES) :])
        ),
        "roc_auc": _roc_auc(predictions),
        "confusion": confusion.tolist(),
        "absent": [n for n, s in zip(classes, by_class.support, strict=True) if s == 0],
        "rare": [
            n for n, s in zip(classes, by_class.support, strict=True) if 0 < s < RARE
        ],
        "lineage": lineage_metrics(confusion, classes, level=level),
        "calibration": (
            None
            if predictions.probabilities is None
            else calibration_metrics(
                predictions.labels, predictions.probabilities, classes, level=level
            )
        ),
        "notes": list(predictions.notes),
    }


def compare(
    first: Predictions,
    second: Predictions,
    *,
    names: tuple[str, str] = ("the first", "the second"),
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Two systems on the same images: what differs, how surely, and what decides it.

    Returns:
        `metrics`: for each average `first`, `second`, `difference` and the paired
        bootstrap `interval` of the difference; `mcnemar`; `decided_by`; `images`.

    Raises:
        DataError: the two were tested on other images or labels.
    """
    first, second = join(first, second)
    classes, labels = first.classes, first.labels
    size = len(classes)
    matrices = [
        confusion_matrix(labels, system.predicted, size) for system in (first, second)
    ]
    common = common_classes(matrices[0].sum(axis=1))
    values = [averages(matrix, common) for matrix in matrices]
    difference, low, high = paired_bootstrap(
        # The last classes are missing where no image is of them nor predicted as them.
        lambda drawn: averages(drawn, common[: drawn.shape[-1]]),
        labels,
        first.predicted,
        second.predicted,
        draws=draws,
        level=level,
        seed=seed,
    )
    metrics = {
        name: {
            "first": number_or_none(values[0][i]),
            "second": number_or_none(values[1][i]),
            "difference": number_or_none(difference[i]),
            "interval": _interval(low[i], high[i]),
        }
        for i, name in enumerate(AVERAGES)
    }
    decision = decided_by(*map(class_metrics, matrices), classes, names)
    return {
        "names": list(names),
        "images": len(labels),
        "level": level,
        "draws": draws,
        "seed": seed,
        "metrics": metrics,
        "mcnemar": mcnemar(labels, first.predicted, second.predicted)._asdict(),
        "decided_by": {**decision._asdict(), "classes": list(decision.classes)},
    }


def _groups(classes: tuple[str, ...], train_counts: Mapping[str, int]) -> np.ndarray:
    """Which classes are head, middle and tail, bool [3, N]."""
    missing = [name for name in classes if name not in train_counts]
    if missing:
        raise DataError(
            f"the training counts lack {', '.join(missing)}; give one for each class"
        )
    members = thirds(classes, dict(train_counts))
    return np.array([[n in members[third] for n in classes] for third in THIRDS])


def _by_frequency(
    confusion: np.ndarray,
    classes: tuple[str, ...],
    groups: np.ndarray,
    pairs: list[list[float] | None],
) -> dict[str, Any]:
    means = group_means(confusion, groups)
    return {
        third: {
            "classes": [n for n, here in zip(classes, groups[i], strict=True) if here],
            "recall": number_or_none(means[i, 0]),
            "recall_interval": pairs[2 * i],
            "f1": number_or_none(means[i, 1]),
            "f1_interval": pairs[2 * i + 1],
        }
        for i, third in enumerate(THIRDS)
    }


def _roc_auc(predictions: Predictions) -> dict[str, Any] | None:
    if predictions.probabilities is None:
        return None
    mean, areas = roc_auc(predictions.labels, predictions.probabilities)
    return {
        "macro": mean,
        "per_class": dict(zip(predictions.classes, areas, strict=True)),
    }


def _interval(low: float, high: float) -> list[float] | None:
    return None if np.isnan(low) else [float(low), float(high)]
