"""What tells the systems of a page apart: two at a time, on the same images."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from bmjax.evals.assess import compare
from bmjax.report.metric_tables import SCORES, Shown
from bmjax.report.pooled_folds import over_folds
from bmjax.report.systems import System
from bmjax.report.words import NONE, count, difference, p_value, score

COMPARED = ("accuracy", "macro_f1", "macro_f1_without_rare", "weighted_f1")
MOST_COMPARED = 6  # with more than four systems each is set against the leader alone


class Pair(NamedTuple):
    """Two systems on the same images: what differs, as texts."""

    first: int
    second: int
    differences: list[Shown]  # for each of COMPARED, first minus second
    first_only: str
    second_only: str
    p_value: str
    sentences: list[str]


def same_images(systems: Sequence[System]) -> bool:
    """Whether all systems were tested on the same test images."""
    paths = [frozenset(system.predictions.paths) for system in systems]
    return all(each == paths[0] for each in paths)


def by_macro_f1(all_metrics: Sequence[dict[str, Any]]) -> list[int]:
    """The numbers of the systems, the one ahead by macro F1 first."""
    return sorted(
        range(len(all_metrics)),
        key=lambda number: -(all_metrics[number]["macro_f1"] or 0.0),
    )


def pairs_of(order: Sequence[int]) -> list[tuple[int, int]]:
    """Which systems are set against each other: every two, or all against the first."""
    pairs = list(itertools.combinations(order, 2))
    if len(pairs) > MOST_COMPARED:
        pairs = [(order[0], behind) for behind in order[1:]]
    return pairs


def compare_pair(
    systems: Sequence[System], first: int, second: int, draws: int
) -> Pair:
    """Set two systems against each other.

    Raises:
        DataError: an image has two labels.
    """
    ahead, behind = systems[first], systems[second]
    comparison = compare(
        ahead.predictions,
        behind.predictions,
        names=(ahead.name, behind.name),
        draws=draws,
    )
    test = comparison["mcnemar"]
    return Pair(
        first,
        second,
        [_difference(comparison["metrics"][key]) for key in COMPARED],
        count(test["first_only"]),
        count(test["second_only"]),
        p_value(test["p_value"]),
        [*comparison_sentences(comparison), over_folds(ahead, behind)],
    )


def comparison_sentences(comparison: dict[str, Any]) -> list[str]:
    """What decides the ranking, whether images settle it, and McNemar's test of it.

    Args:
        comparison: of `evals.assess.compare`.

    Returns:
        sentences, the ranking's first; "" where one has nothing to say.
    """
    return [
        comparison["decided_by"]["sentence"],
        comparison["decided_by"]["lost_sentence"],
        _settled(comparison["metrics"]["macro_f1"]),
        _by_accuracy(comparison),
    ]


def _difference(metric: dict[str, Any]) -> Shown:
    value, ends = metric["difference"], metric["interval"]
    if value is None:
        return Shown(NONE, "")
    return Shown(difference(value), " to ".join(map(difference, ends)) if ends else "")


def _settled(metric: dict[str, Any]) -> str:
    """Whether the images settle the order by macro F1."""
    if metric["interval"] is None or not metric["difference"]:
        return ""
    low, high = metric["interval"]
    span = f"{difference(low)} to {difference(high)}"
    if low <= 0 <= high:
        return (
            f"The paired interval of the difference, {span}, holds 0: these images "
            "do not tell the two apart by macro F1."
        )
    return f"The paired interval of the difference, {span}, does not hold 0."


def _by_accuracy(comparison: dict[str, Any]) -> str:
    """Which one has more correct predictions, and whether that could be chance."""
    metric, test = comparison["metrics"]["accuracy"], comparison["mcnemar"]
    values = metric["first"], metric["second"]
    if test["first_only"] == test["second_only"]:
        return "Both have the same number of correct predictions."
    leader = 0 if test["first_only"] > test["second_only"] else 1
    only = test["first_only"], test["second_only"]
    ahead, behind = comparison["names"][leader], comparison["names"][1 - leader]
    return (
        f"By accuracy {ahead} is ahead ({score(values[leader])} to "
        f"{score(values[1 - leader])}): only {ahead} is correct on "
        f"{count(only[leader])} images, only {behind} on {count(only[1 - leader])} "
        f"(McNemar, exact: p {p_value(test['p_value'])})."
    )


SCORE_NAMES = [SCORES[key] for key in COMPARED]
