"""Two measured systems on the same test images or folds: whether they differ."""

from itertools import combinations
from pathlib import Path
from typing import Any

from experiments.tables.counts import AVERAGES

_FOLD_FIGURES = ("macro_f1", "macro_f1_without_rare", "accuracy")


def paired(
    systems: dict[str, dict[str, Any]], tables: dict[str, list[Path]]
) -> list[dict[str, Any]]:
    """Compare every two systems of a table, as far as their runs allow it.

    On one test part with one run each: McNemar's exact test, and paired bootstraps
    over images. Over folds: Nadeau and Bengio's corrected interval of the difference.
    Several seeds on one test part are compared by their deviations alone.

    Args:
        systems: documents by key, with "by_part".
        tables: by key, predictions.csv of each run.

    Returns:
        for each pair and figure: "first", "second", "figure", "difference",
        "interval", "how" and "sentence".
    """
    found = []
    for first, second in combinations(systems, 2):
        if len(tables[first]) == 1:
            found += _on_images(systems, first, second, tables)
        elif systems[first]["parts"] == "folds":
            found += _on_folds(systems, first, second)
    return found


def _on_images(
    systems: dict[str, dict], first: str, second: str, tables: dict[str, list[Path]]
) -> list[dict[str, Any]]:
    from bmjax.evals.assess import compare
    from bmjax.evals.predictions import read_predictions

    one, other = (read_predictions(tables[key][0]) for key in (first, second))
    names = (systems[first]["name"], systems[second]["name"])
    result = compare(one, other, names=names)
    entries = []
    for figure in AVERAGES:
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
    from bmjax.evals.intervals import paired_over_folds

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
        "sentence": f"{first} - {second}, {AVERAGES[figure]}: {difference:+.4f} "
        f"[{low:+.4f}, {high:+.4f}] ({how}).",
    }
