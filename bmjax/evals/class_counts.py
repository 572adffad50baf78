"""Metrics of a system of which only counts or rates of the classes are known.

A published table gives no predictions, so that neither a confusion matrix nor paired
comparisons can be worked out; all else has the form of `evals.assess`.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bmjax.data.matek import class_name
from bmjax.evals.classification import number_or_none
from bmjax.evals.confusion import (
    AVERAGE_TITLES,
    ClassMetrics,
    Counts,
    average_metrics,
)
from bmjax.evals.intervals import (
    bootstrap_counts,
    clopper_pearson,
    exact_class_intervals,
)
from bmjax.evals.ranking import decided_by

CLASS_METRICS = ("precision", "recall", "f1")
RANKED = ("macro_f1", "weighted_f1", "accuracy")


def assess_counts(
    metrics: ClassMetrics,
    classes: Sequence[str],
    *,
    counts: Counts | None,
    without: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Averages and metrics by class with their intervals, ready for JSON.

    Args:
        metrics: float [N], NaN: not defined; precision, recall and counts may be None.
        classes: names, by number.
        counts: int [N] each, what the intervals come from; None: there are none.
        without: classes that macro F1 is averaged without once more, by the name that
            this has: `rare` gives `macro_f1_without_rare`.

    Returns:
        `classes`; the averages of AVERAGE_TITLES, None where not known; `intervals` of
        the averages (`bootstrap_counts`, but exact for accuracy); `rare`; `per_class`
        with `correct`, `support`, `predicted`, the metrics and their
        exact intervals.
    """
    averages = class_averages(metrics, classes, without)
    exact = exact_class_intervals(counts) if counts else {}
    known = {name: getattr(metrics, name) for name in CLASS_METRICS}
    return {
        "classes": list(classes),
        **{name: number_or_none(averages.get(name)) for name in AVERAGE_TITLES},
        "intervals": intervals_of_averages(counts, classes, without) if counts else {},
        "rare": list(without.get("rare", ())),
        "per_class": [
            {
                "abbreviation": name,
                "name": class_name(name),
                "correct": int(counts.correct[row]) if counts else None,
                "support": int(metrics.support[row]),
                "predicted": int(counts.predicted[row]) if counts else None,
                **{
                    key: number_or_none(values[row])
                    for key, values in known.items()
                    if values is not None
                },
                **{f"{key}_interval": ends[row] for key, ends in exact.items()},
            }
            for row, name in enumerate(classes)
        ],
    }


def class_averages(
    metrics: ClassMetrics, classes: Sequence[str], without: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray | float]:
    """`average_metrics`, with the classes that are left out given by name."""
    kept = {
        key: np.array([name not in left_out for name in classes])
        for key, left_out in without.items()
    }
    return average_metrics(metrics, kept)


def intervals_of_averages(
    counts: Counts, classes: Sequence[str], without: Mapping[str, Sequence[str]]
) -> dict[str, list[float]]:
    """Intervals of the averages: `bootstrap_counts`, but exact for accuracy."""
    present = counts.support > 0
    known = Counts(*(part[present] for part in counts))
    names = [name for name, kept in zip(classes, present, strict=True) if kept]
    intervals = bootstrap_counts(
        known, lambda drawn: class_averages(drawn, names, without)
    )
    intervals["accuracy"] = clopper_pearson(known.correct.sum(), known.support.sum())
    return {
        name: [float(low), float(high)]
        for name, (low, high) in intervals.items()
        if not np.isnan(low)
    }


def compatible_counts(
    images: np.ndarray, precision: np.ndarray, recall: np.ndarray
) -> Counts:
    """Whole numbers of images that fit published rates best.

    Correct are recall x images, predicted correct / precision; a class without correct
    predictions has none, since precision 0 does not say how many there were.
    """
    hits = recall * images
    predicted = np.divide(hits, precision, out=np.zeros(len(hits)), where=precision > 0)
    correct = np.round(hits).astype(int)
    return Counts(correct, images, np.maximum(np.round(predicted).astype(int), correct))


def decide_places(systems: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What decides each place of each ranking: neighbors in it, two by two.

    Args:
        systems: of `assess_counts` by key, each with its `name`.

    Returns:
        for each average of RANKED and each pair: the fields of `Decision`, where
        `leader` and `second` are keys, `difference` is the leader's lead and `without`
        is by key.
    """
    decisions = []
    for average in RANKED:
        ranked = sorted(
            (key for key in systems if systems[key].get(average) is not None),
            key=lambda key: -systems[key][average],
        )
        for leader, second in pairwise(ranked):
            pair = [systems[leader], systems[second]]
            decision = decided_by(
                *map(metrics_of_classes, pair),
                pair[0]["classes"],
                (pair[0]["name"], pair[1]["name"]),
                average=average,
                means=(pair[0][average], pair[1][average]),
            )
            without = decision.without and dict(
                zip((leader, second), decision.without, strict=True)
            )
            decisions.append(
                decision._asdict()
                | {"leader": leader, "second": second, "without": without}
                | {"classes": list(decision.classes)}
            )
    return decisions


def metrics_of_classes(system: Mapping[str, Any]) -> ClassMetrics:
    """The metrics of a system from its `per_class`; NaN or None where not known."""
    entries = system["per_class"]

    def column(key: str) -> np.ndarray | None:
        values = [entry.get(key) for entry in entries]
        if all(value is None for value in values):
            return None
        return np.array([np.nan if value is None else value for value in values])

    return ClassMetrics(*(column(key) for key in ClassMetrics._fields))
