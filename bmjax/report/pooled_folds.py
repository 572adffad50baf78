"""Runs that differ in their fold alone, evaluated as one system."""

import json
import re
from collections.abc import Sequence
from typing import Any

from bmjax.data.splits.make_split import FOLDED, FOLDS
from bmjax.errors import DataError
from bmjax.evals.classification import classification_metrics
from bmjax.evals.over_runs import FoldDifference, mean_and_sd, paired_over_folds
from bmjax.evals.predictions import concatenate
from bmjax.report.metric_tables import SCORES
from bmjax.report.run_files import section
from bmjax.report.systems import System
from bmjax.report.words import NONE, difference, p_value, score


def pool_folds(systems: Sequence[System]) -> list[System]:
    """Put the folds of a configuration together; other systems stay as they are.

    A configuration is one but for the fold and the weights that it starts from.

    Raises:
        DataError: a fold is missing, or is there twice.
    """
    groups: dict[str, list[System]] = {}
    for number, system in enumerate(systems):
        groups.setdefault(_configuration(system, number), []).append(system)
    names = {
        system.name for group in groups.values() if len(group) == 1 for system in group
    }
    pooled = []
    for group in groups.values():
        if len(group) == 1 and not _is_fold(group[0]):
            pooled += group
            continue
        whole = _pooled(group)
        if whole.name in names:
            whole = whole._replace(name=f"{group[0].name} to {group[-1].name}")
        names.add(whole.name)
        pooled.append(whole)
    return pooled


def fold_rows(system: System) -> list[tuple[str, list[str]]]:
    """The scores of each fold, their mean and their standard deviation (ddof 1)."""
    scores = {number: _scores(part) for number, part in enumerate(system.folds)}
    rows = [
        (f"Fold {number}", [score(values[key]) for key in SCORES])
        for number, values in scores.items()
    ]
    columns = [[values[key] for values in scores.values()] for key in SCORES]
    both = [
        (NONE, NONE)
        if None in column
        else tuple(map(score, map(float, mean_and_sd(column))))
        for column in columns
    ]
    means, spreads = map(list, zip(*both, strict=True))
    return [*rows, ("Mean", means), ("Standard deviation", spreads)]


def over_folds(first: System, second: System) -> str:
    """A sentence on the difference of macro F1 over the folds, where both have them."""
    if len(first.folds) < 2 or len(first.folds) != len(second.folds):
        return ""
    scores = (
        [_scores(fold)["macro_f1"] for fold in system.folds]
        for system in (first, second)
    )
    return difference_over_folds(paired_over_folds(*scores))


def difference_over_folds(over: FoldDifference) -> str:
    """A sentence on a difference over folds."""
    low, high = map(difference, over.corrected_interval)
    return (
        f"Over the {over.folds} folds the difference is "
        f"{difference(over.difference)}, standard deviation {score(over.std)}; with "
        f"folds that share training images its interval is {low} to {high} (p "
        f"{p_value(over.corrected_p_value)}, corrected after Nadeau and Bengio)."
    )


def _pooled(group: Sequence[System]) -> System:
    by_fold: dict[int, System] = {}
    for system in group:
        fold = _fold(system)
        if fold in by_fold:
            raise DataError(
                f"expected each fold of a configuration once, but {by_fold[fold].name} "
                f"and {system.name} are both fold {fold}: leave one of them out"
            )
        by_fold[fold] = system
    missing = [str(fold) for fold in range(FOLDS) if fold not in by_fold]
    if missing:
        raise DataError(
            f"expected the {FOLDS} folds of {group[0].name}, but fold "
            f"{', '.join(missing)} is missing: run it, or leave --pool-folds out"
        )
    ordered = [by_fold[fold] for fold in sorted(by_fold)]
    predictions = concatenate(
        {fold: system.predictions for fold, system in by_fold.items()}, expected=FOLDS
    )
    notes = [
        f"{part.name}: {note}" for part in ordered for note in part.predictions.notes
    ]
    return System(
        common_name([system.name for system in ordered]),
        ordered[0].source,
        predictions._replace(notes=tuple(notes)),
        None,
        tuple(ordered),
    )


def _configuration(system: System, number: int) -> str:
    """What the folds of a system share; a system that is no fold is alone."""
    if not _is_fold(system):
        return str(number)
    config = dict(system.run.config)
    data = dict(section(config, "data"))
    data.pop("fold", None)
    config.pop("init_from", None)
    return json.dumps(config | {"data": data}, sort_keys=True, default=str)


def _is_fold(system: System) -> bool:
    if system.run is None:
        return False
    split = section(system.run.config, "data").get("split")
    return split in FOLDED and _fold(system) is not None


def _fold(system: System) -> int | None:
    fold = section(system.run.config, "data").get("fold")
    return fold if isinstance(fold, int) and 0 <= fold < FOLDS else None


def common_name(names: Sequence[str]) -> str:
    """What the names of folds begin with: `swav` of swav-0 to swav-4."""
    low, high = min(names), max(names)
    same = next((i for i, letter in enumerate(low) if letter != high[i]), len(low))
    common = re.sub(r"(^|[-_./ ])fold$", "", low[:same].rstrip("-_./ "))
    common = common.rstrip("-_./ ")
    return common or f"{names[0]} to {names[-1]}"


def _scores(system: System) -> dict[str, Any]:
    predictions = system.predictions
    return classification_metrics(
        predictions.labels, predictions.predicted, predictions.classes
    )
