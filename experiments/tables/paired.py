"""Two measured systems on the same test images or folds: whether they differ."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from bmjax.evals.assess import compare
from bmjax.evals.confusion import AVERAGE_TITLES
from bmjax.evals.intervals import paired_over_folds
from bmjax.evals.predictions import Predictions
from experiments.tables.document import PAPER_AVERAGES
from experiments.tables.finished import FinishedRun

_FOLD_FIGURES = ("macro_f1", "macro_f1_without_rare", "accuracy")


def paired(
    systems: dict[str, dict[str, Any]], runs: dict[str, Sequence[FinishedRun]]
) -> list[dict[str, Any]]:
    """Compare every two systems of a table, as far as their runs allow it.

    On one test part with one run each: McNemar's exact test, and paired bootstraps
    over images. Over folds: Nadeau and Bengio's corrected interval of the difference.
    Several seeds on one test part are compared by their deviations alone.

    Args:
        systems: documents by key, with "by_part".
        runs: finished runs by key.

    Returns:
        for each pair and figure: "first", "second", "figure", "difference",
        "interval", "how" and "sentence".
    """
    entries = []
    for first, second in combinations(systems, 2):
        if len(runs[first]) == 1:
            predictions = [runs[key][0].predictions for key in (first, second)]
            entries += _on_images(systems, first, second, predictions)
        elif systems[first]["parts"] == "folds":
            entries += _on_folds(systems, first, second)
    return entries


def _on_images(
    systems: dict[str, dict],
    first: str,
    second: str,
    predictions: Sequence[Predictions],
) -> list[dict[str, Any]]:
    names = (systems[first]["name"], systems[second]["name"])
    result = compare(*predictions, names=names)
    entries = []
    for figure in PAPER_AVERAGES:
        if (entry := result["figures"].get(figure)) and entry["interval"]:
            how = "paired bootstrap over images"
            if figure == "accuracy":
                test = result["mcnemar"]
                how += (
                    f"; McNemar: {test['first_only']:,} images right by {names[0]} "
                    f"alone, {test['second_only']:,} by {names[1]} alone, p = "
                    f"{test['p_value']:.2g}"
                )
            entries.append(
                _entry(
                    systems,
                    (first, second),
                    figure,
                    entry["difference"],
                    entry["interval"],
                    how,
                )
            )
    return entries


def _on_folds(
    systems: dict[str, dict], first: str, second: str
) -> list[dict[str, Any]]:
    entries = []
    for figure in _FOLD_FIGURES:
        values = [systems[key]["by_part"][figure] for key in (first, second)]
        if any(value is None for part in values for value in part):
            continue
        over = paired_over_folds(*values)
        how = (
            f"over {over.folds} folds, corrected for their shared training images; "
            f"p = {over.corrected_p_value:.2g}"
        )
        interval = list(over.corrected_interval)
        pair = (first, second)
        entries.append(_entry(systems, pair, figure, over.difference, interval, how))
    return entries


def _entry(
    systems: dict[str, dict],
    pair: tuple[str, str],
    figure: str,
    difference: float,
    interval: list[float],
    how: str,
) -> dict[str, Any]:
    first, second = (systems[key]["name"] for key in pair)
    low, high = interval
    return {
        "first": pair[0],
        "second": pair[1],
        "figure": figure,
        "difference": difference,
        "interval": interval,
        "how": how,
        "sentence": f"{first} - {second}, {AVERAGE_TITLES[figure]}: {difference:+.4f} "
        f"[{low:+.4f}, {high:+.4f}] ({how}).",
    }
