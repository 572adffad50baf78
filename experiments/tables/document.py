"""What is known of one system, published or measured, in one form of plain data.

Its keys:

name, protocol, source        what it is, how it was tested, who says so
approximate                   whether its counts were worked out from rounded rates
accuracy, macro_f1, ...       averages (`PAPER_AVERAGES`); None: cannot be known
sd                            their sample deviations over runs, where there are some
intervals                     their 95 % intervals, [low, high]
published                     the averages that the source itself prints
per_class                     abbreviation, name, images (of all test parts), right,
                              called, precision, recall, f1, sd, intervals
notes                         what cannot be known, and why
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from bmjax.data.matek import class_name
from bmjax.evals.confusion import ClassMetrics, Counts, average_metrics
from bmjax.evals.intervals import (
    bootstrap_counts,
    clopper_pearson,
    exact_class_intervals,
)

METRICS = ("precision", "recall", "f1")
SMALLEST = "ABE"  # two test images decide the paper's ranking
PAPER_AVERAGES = (
    "macro_precision",
    "macro_recall",
    "macro_f1",
    f"macro_f1_without_{SMALLEST}",
    "macro_f1_without_rare",
    "weighted_f1",
    "accuracy",
)


def paper_averages(
    metrics: ClassMetrics, classes: Sequence[str], rare: Collection[str]
) -> dict[str, np.ndarray]:
    """The averages of PAPER_AVERAGES that are defined, each [...].

    Args:
        metrics: [..., N]; precision, recall and counts may be None.
        classes: names, N of them.
        rare: names of the classes with too few test images to say much.
    """
    without = {
        SMALLEST: np.array([name != SMALLEST for name in classes]),
        "rare": np.array([name not in rare for name in classes]),
    }
    means = average_metrics(metrics, without)
    return {
        name: means[name]
        for name in PAPER_AVERAGES
        if name in means and not np.isnan(means[name]).all()
    }


def intervals_of_averages(
    classes: Sequence[str], counts: Counts, rare: Collection[str]
) -> dict[str, list[float]]:
    """Intervals of the averages: `bootstrap_counts`, but exact for accuracy."""
    present = counts.support > 0
    known = Counts(*(part[present] for part in counts))
    names = [name for name, kept in zip(classes, present, strict=True) if kept]
    found = bootstrap_counts(known, lambda drawn: paper_averages(drawn, names, rare))
    found["accuracy"] = clopper_pearson(known.correct.sum(), known.support.sum())
    return {name: [float(low), float(high)] for name, (low, high) in found.items()}


def system(
    classes: Sequence[str],
    metrics: ClassMetrics,
    rare: Collection[str],
    *,
    name: str,
    protocol: str,
    source: str,
    counts: Counts | None,
    approximate: bool = False,
    sd: dict[str, np.ndarray] | None = None,
    published: dict[str, float] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The document of one system.

    Args:
        classes: names, N of them.
        metrics: float [N], NaN: absent; support over all test parts.
        rare: names of the classes with too few images in a test part.
        name: of the system.
        protocol: how it was tested.
        source: who says so.
        counts: what the intervals come from; None: there are none.
        approximate: whether the counts were worked out from rounded rates.
        sd: sample deviations over folds, by metric, float [N].
        published: averages that the source prints.
        notes: what cannot be known, and why.
    """
    means = paper_averages(metrics, classes, rare)
    exact = exact_class_intervals(counts) if counts else {}
    known = {key: getattr(metrics, key) for key in METRICS}
    return {
        "name": name,
        "protocol": protocol,
        "source": source,
        "approximate": approximate,
        **{key: number_or_none(means.get(key)) for key in PAPER_AVERAGES},
        "sd": {},
        "intervals": intervals_of_averages(classes, counts, rare) if counts else {},
        "published": published or {},
        "rare": [cell for cell in classes if cell in rare],
        "per_class": [
            {
                "abbreviation": cell,
                "name": class_name(cell),
                "images": int(metrics.support[row]),
                "right": int(counts.correct[row]) if counts else None,
                "called": int(counts.predicted[row]) if counts else None,
                **{
                    key: number_or_none(values[row])
                    for key, values in known.items()
                    if values is not None
                },
                "sd": {key: number_or_none(sd[key][row]) for key in sd or ()},
                "intervals": {key: ends[row] for key, ends in exact.items()},
            }
            for row, cell in enumerate(classes)
        ],
        "notes": list(notes),
    }


def number_or_none(value: float | None) -> float | None:
    """A number for JSON; None where it is missing or not defined."""
    return None if value is None or math.isnan(value) else float(value)


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
