"""What is known of one system, published or measured, in one form of plain data.

Its keys:

name, protocol, source        what it is, how it was tested, who says so
approximate                   whether its counts were worked out from rounded rates
accuracy, macro_f1, ...       averages (`counts.AVERAGES`); None: cannot be known
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
from bmjax.evals.ranking import Counts
from experiments.tables.counts import (
    AVERAGES,
    averages,
    exact_interval,
    intervals_of_averages,
)

FIGURES = ("precision", "recall", "f1")


def system(
    classes: Sequence[str],
    images: np.ndarray,
    rare: Collection[str],
    rates: dict[str, np.ndarray],
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
        images: int [N], test images of each class, over all test parts.
        rare: names of the classes with too few images in a test part.
        rates: "f1" and, where known, "precision" and "recall", float [N]; NaN: absent.
        name: of the system.
        protocol: how it was tested.
        source: who says so.
        counts: what the intervals come from; None: there are none.
        approximate: whether the counts were worked out from rounded rates.
        sd: sample deviations over folds, by figure, float [N].
        published: averages that the source prints.
        notes: what cannot be known, and why.
    """
    found = averages(
        classes,
        images,
        rare,
        precision=rates.get("precision"),
        recall=rates.get("recall"),
        f1=rates["f1"],
    )
    per_class = []
    for row, cell in enumerate(classes):
        per_class.append(
            {
                "abbreviation": cell,
                "name": class_name(cell),
                "images": int(images[row]),
                "right": int(counts.right[row]) if counts else None,
                "called": int(counts.called[row]) if counts else None,
                **{key: _number(rates[key][row]) for key in FIGURES if key in rates},
                "sd": {key: _number(values[row]) for key, values in (sd or {}).items()},
                "intervals": _class_intervals(counts, row),
            }
        )
    return {
        "name": name,
        "protocol": protocol,
        "source": source,
        "approximate": approximate,
        **{key: _number(found.get(key)) for key in AVERAGES},
        "sd": {},
        "intervals": intervals_of_averages(classes, counts, rare) if counts else {},
        "published": published or {},
        "rare": [cell for cell in classes if cell in rare],
        "per_class": per_class,
        "notes": list(notes),
    }


def _class_intervals(counts: Counts | None, row: int) -> dict[str, list[float] | None]:
    """Exact intervals of one class's precision, recall and F1."""
    if counts is None:
        return {}
    right, images, called = (int(part[row]) for part in counts)
    if not images:
        return dict.fromkeys(FIGURES)
    # F1 = 2 J / (1 + J), J the share of right answers among the images that are of the
    # class or called so: a proportion too, given how many these are.
    return {
        "precision": exact_interval(right, called),
        "recall": exact_interval(right, images),
        "f1": [2 * j / (1 + j) for j in exact_interval(right, images + called - right)],
    }


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def compatible_counts(
    images: np.ndarray, precision: np.ndarray, recall: np.ndarray
) -> Counts:
    """Whole numbers of images that fit published rates best.

    Found are recall x images, called found / precision; a class never found has none
    called, since precision 0 does not say how many were.
    """
    found = recall * images
    called = np.divide(found, precision, out=np.zeros(len(found)), where=precision > 0)
    right = np.round(found).astype(int)
    return Counts(right, images, np.maximum(np.round(called).astype(int), right))
