"""How many test images decide which of two systems is the better one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bmjax.evals.confusion import AVERAGE_TITLES, Counts
from bmjax.evals.ranking import decided_by, decisive_classes

RANKED = ("macro_f1", "weighted_f1", "accuracy")
_ROBUST = 0.1  # of the images; a ranking that stands on more is said to stand
_SHOWN = 0.0001
_PAIR = ("leader", "second")


def decide_places(
    classes: Sequence[str], systems: dict[str, dict[str, Any]], figures=RANKED
) -> list[dict[str, Any]]:
    """What decides each place of each ranking: neighbours in it, two by two.

    For an average of F1, the smallest number of test images whose classes, left out of
    the average, turn the order round. For accuracy, the images by which one is ahead.

    Args:
        classes: names in the order of the systems' `per_class`.
        systems: by key, documents of `experiments.tables.document`.
        figures: to rank by.

    Returns:
        for each figure and pair: "figure", "leader", "second", "difference", "images"
        (None: no choice of classes turns the order round), "classes", "of" (images in
        all), "without_them" (the figure of each, and who leads) and "sentence"; for
        macro F1 of known counts also "answers", the fewest right answers whose loss
        ends the lead, and "answers_by_class".
    """
    found = []
    for figure in figures:
        ranked = sorted(
            (key for key in systems if systems[key].get(figure) is not None),
            key=lambda key: -systems[key][figure],
        )
        for leader, second in pairwise(ranked):
            entry = _decide(classes, systems, figure, leader, second)
            found.append({**entry, "sentence": sentence(entry, systems)})
    return found


def _decide(
    classes: Sequence[str],
    systems: dict[str, dict[str, Any]],
    figure: str,
    leader: str,
    second: str,
) -> dict[str, Any]:
    key = "recall" if figure == "accuracy" else "f1"
    first, other = (_values(systems[name], key) for name in (leader, second))
    images = _values(systems[leader], "images")
    both = ~np.isnan(first) & ~np.isnan(other)
    first, other, images = first[both], other[both], images[both]
    names = [name for name, kept in zip(classes, both, strict=True) if kept]
    weights = images if figure != "macro_f1" else np.ones(len(images))
    entry = {
        "figure": figure,
        "leader": leader,
        "second": second,
        "difference": systems[leader][figure] - systems[second][figure],
        "of": int(images.sum()),
    }
    if figure == "accuracy":
        lead = round(float((images * (first - other)).sum()))
        return {**entry, "images": lead, "classes": [], "without_them": None}
    left_out = decisive_classes(weights * (first - other), images)
    if left_out is None:
        return {**entry, "images": None, "classes": [], "without_them": None}
    kept = ~left_out
    left = {
        leader: float(np.average(first[kept], weights=weights[kept])),
        second: float(np.average(other[kept], weights=weights[kept])),
    }
    return {
        **entry,
        **_answers(systems, figure, leader, second),
        "images": int(images[left_out].sum()),
        "classes": [name for name, out in zip(names, left_out, strict=True) if out],
        "without_them": {**left, "leader": max(left, key=left.get)},
    }


def _answers(
    systems: dict[str, dict[str, Any]], figure: str, leader: str, second: str
) -> dict[str, Any]:
    """The leader's right answers whose loss ends its lead, where both have counts."""
    keys = ("right", "images", "called")
    both = [[_values(systems[name], key) for key in keys] for name in (leader, second)]
    known = not np.isnan(both).any() and np.array_equal(both[0][1], both[1][1])
    rounded = any(systems[name]["approximate"] for name in (leader, second))
    if figure != "macro_f1" or rounded or not known:
        return {}
    names = [entry["abbreviation"] for entry in systems[leader]["per_class"]]
    found = decided_by(*(Counts(*np.array(c, int)) for c in both), names)
    return {"answers": found.answers, "answers_by_class": found.answers_by_class}


def sentence(entry: dict[str, Any], systems: dict[str, dict[str, Any]]) -> str:
    """The line that says what a ranking stands on."""
    leader, second = (systems[entry[key]]["name"] for key in ("leader", "second"))
    about = "about " if any(systems[entry[k]]["approximate"] for k in _PAIR) else ""
    what = AVERAGE_TITLES[entry["figure"]]
    said = f"{leader} leads {second} by {entry['difference']:.4f} {what}"
    if entry["figure"] == "accuracy":
        return f"{said}: {about}{entry['images']:,} of {entry['of']:,} test images."
    if entry["images"] is None:
        return f"{said}, in no class behind: no choice of classes turns that round."
    if not entry["images"]:
        return f"{said}, by rounding alone."
    if entry["images"] > _ROBUST * entry["of"]:
        return (
            f"{said}. No choice of classes with fewer than {entry['images']:,} of "
            f"{entry['of']:,} test images turns that round."
        )
    left = entry["without_them"]
    ahead = systems[left["leader"]]["name"]
    lead = abs(left[entry["leader"]] - left[entry["second"]])
    by = f"{lead:.4f}" if lead >= _SHOWN else f"less than {_SHOWN}"
    return (
        f"{said}. {entry['images']:,} of {entry['of']:,} test images "
        f"({', '.join(entry['classes'])}) decide it: without them {ahead} leads by "
        f"{by}."
    )


def _values(system: dict[str, Any], key: str) -> np.ndarray:
    values = [entry[key] for entry in system["per_class"]]
    return np.array([np.nan if value is None else value for value in values], float)
