"""The count of one case from the labels of its cells: what count.json says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bmjax.count.corrected import (
    FEWEST,
    FEWEST_COUNTED,
    ClassGroup,
    group_classes,
    mean_and_interval,
    posterior_shares,
    shares_among,
)
from bmjax.count.countable import Countable
from bmjax.count.thresholds import THRESHOLDS, cells_to_decide, verdict
from bmjax.evals.calibration import estimate_prior
from bmjax.evals.confusion import confusion_matrix
from bmjax.evals.intervals import clopper_pearson
from bmjax.report.case_page import NOT_COUNTABLE

LEVEL = 0.95
ENOUGH_CELLS = 500  # on two smears or more; ICSH 2008 (Lee et al.)
ENOUGH_SMEARS = 2
NOT_COUNTED = "not counted"  # the lineage of classes that do not count


class Validated(NamedTuple):
    """Validation cells of the run, calibrated as the case's cells are.

    Attributes:
        labels: int [V].
        predicted: int [V].
        prior: float [N], that the probabilities of the case's cells have.
    """

    labels: np.ndarray
    predicted: np.ndarray
    prior: np.ndarray


def count_case(
    labels: np.ndarray,
    classes: Sequence[str],
    table: Countable,
    *,
    smears: int,
    probabilities: np.ndarray | None = None,
    validated: Validated | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Count a case.

    Args:
        labels: int [n], the class of each cell, or NOT_COUNTABLE.
        classes: N names.
        table: which of them count.
        smears: that the cells came from.
        probabilities: float [n, N], calibrated; with `validated`, for the shares by
            expectation and maximization.
        validated: None where the labels are a reader's: nothing is corrected.
        seed: of the draws of the posterior.

    Returns:
        what count.json holds: `cells`, `countable`, `smears`, `level`, `classes` (each
        `class`, `countable`, `n`, `percent`, `interval`, `corrected`,
        `corrected_interval`, `corrected_with`), `lineages`, `me_ratio`, `verdicts`,
        `estimates` and `notes`. Percentages are of what is countable; those of a class
        that does not count are None.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    counted = np.asarray(table.counts)
    total = int(counts[counted].sum())
    lineages = [
        one if counts_ else NOT_COUNTED
        for one, counts_ in zip(table.lineage, table.counts, strict=True)
    ]
    corrected = None
    if validated is not None and total >= FEWEST_COUNTED:
        corrected = _corrected(counts, classes, lineages, counted, validated, seed)
    rows = [
        {
            "class": name,
            "countable": bool(counted[i]),
            **_share(int(counts[i]), total, shown=bool(counted[i])),
            **_of_group(corrected, (i,), classes, shown=bool(counted[i])),
        }
        for i, name in enumerate(classes)
    ]
    named = [one for one in dict.fromkeys(lineages) if one not in ("", NOT_COUNTED)]
    of_lineages = []
    for lineage in named:
        members = tuple(i for i, one in enumerate(lineages) if one == lineage)
        of_lineages.append(
            {
                "lineage": lineage,
                "classes": [classes[i] for i in members],
                **_share(int(counts[list(members)].sum()), total),
                **_of_group(corrected, members, classes),
            }
        )
    notes = _notes(total, len(labels), smears, corrected)
    if validated is not None and corrected is None:
        notes.append(
            f"Fewer than {FEWEST_COUNTED} countable cells are not corrected for the "
            "classifier's errors."
        )
    estimates = None
    if corrected is not None and probabilities is not None and validated is not None:
        estimates = _estimates(counts, counted, classes, probabilities, validated)
    return {
        "cells": len(labels),
        "countable": total,
        "marked_uncountable": int(np.sum(labels == NOT_COUNTABLE)),
        "smears": smears,
        "level": LEVEL,
        "countable_map": table.source,
        "classes": rows,
        "lineages": of_lineages,
        "me_ratio": _ratio(counts, counted, table),
        "verdicts": _verdicts(counts, counted, total, table, corrected, classes),
        "estimates": estimates,
        "notes": notes,
    }


class _Corrected(NamedTuple):
    lineages: list[str]
    groups: list[ClassGroup]
    draws: np.ndarray  # [D, G], shares among what counts
    of_all: bool  # cells, or of those alone that are named as a class that counts


def _corrected(
    counts: np.ndarray,
    classes: Sequence[str],
    lineages: list[str],
    counted: np.ndarray,
    validated: Validated,
    seed: int,
) -> _Corrected:
    confusion = confusion_matrix(validated.labels, validated.predicted, len(classes))
    # With too few validation cells of what does not count, it would be put together
    # with a class that does, and count too: then it is left out.
    kept = counted | (confusion[~counted].sum() >= FEWEST)
    places = np.flatnonzero(kept).tolist()
    groups = [
        ClassGroup(tuple(places[i] for i in group.members), places[group.largest])
        for group in group_classes(
            confusion.sum(axis=1)[places], [lineages[i] for i in places]
        )
    ]
    member = np.zeros((len(groups), len(classes)), int)
    for number, group in enumerate(groups):
        member[number, list(group.members)] = 1
    draws = posterior_shares(member @ counts, member @ confusion @ member.T, seed=seed)
    among = np.array([counted[list(group.members)].any() for group in groups])
    return _Corrected(lineages, groups, shares_among(draws, among), bool(kept.all()))


def _of_group(
    corrected: _Corrected | None,
    members: tuple[int, ...],
    classes: Sequence[str],
    *,
    shown: bool = True,
) -> dict[str, Any]:
    """The corrected share of classes, where whole groups make them up."""
    nothing: dict[str, Any] = {
        "corrected": None,
        "corrected_interval": None,
        "corrected_with": [],
    }
    if corrected is None or not shown:
        return nothing
    of = [
        number
        for number, group in enumerate(corrected.groups)
        if set(group.members) & set(members)
    ]
    together = {i for number in of for i in corrected.groups[number].members}
    others: list[str] = []
    if len(members) == 1:
        # Of the classes of a group the largest has the figure.
        group = corrected.groups[of[0]]
        others = [classes[i] for i in group.members if i not in members]
        if others and group.largest != members[0]:
            return {**nothing, "corrected_with": others}
    elif together != set(members):
        return nothing
    if len({corrected.lineages[i] for i in together}) > 1 and len(members) == 1:
        return nothing  # too few validation cells even for the lineage
    drawn = corrected.draws[:, of].sum(axis=1, keepdims=True)
    mean, low, high = mean_and_interval(drawn, level=LEVEL)
    return {
        "corrected": 100 * float(mean[0]),
        "corrected_interval": [100 * float(low[0]), 100 * float(high[0])],
        "corrected_with": others,
    }


def _share(count: int, total: int, *, shown: bool = True) -> dict[str, Any]:
    if not total or not shown:
        return {"n": count, "percent": None, "interval": None}
    low, high = map(float, clopper_pearson(count, total, level=LEVEL))
    return {
        "n": count,
        "percent": 100 * count / total,
        "interval": [100 * low, 100 * high],
    }


def _ratio(counts: np.ndarray, counted: np.ndarray, table: Countable) -> dict[str, Any]:
    """Myeloid to erythroid cells, exact given how many there are of both.

    p = M / (M + E) has the interval of Clopper and Pearson, and the ratio is
    p / (1 - p) (Ruemke 1985); no upper end is None.
    """
    myeloid, erythroid = (
        int(
            sum(
                counts[i]
                for i, one in enumerate(table.ratio)
                if one == name and counted[i]
            )
        )
        for name in ("myeloid", "erythroid")
    )
    both = myeloid + erythroid
    ends: list[float | None] = [0.0, None]
    if both:
        pair = map(float, clopper_pearson(myeloid, both, level=LEVEL))
        ends = [p / (1 - p) if p < 1 else None for p in pair]
    return {
        "myeloid": myeloid,
        "erythroid": erythroid,
        "ratio": myeloid / erythroid if erythroid else None,
        "interval": ends,
    }


def _verdicts(
    counts: np.ndarray,
    counted: np.ndarray,
    total: int,
    table: Countable,
    corrected: _Corrected | None,
    classes: Sequence[str],
) -> list[dict[str, Any]]:
    """What the count says of each threshold whose cells some class has."""
    found = []
    for rule in THRESHOLDS:
        members = tuple(
            i for i, one in enumerate(table.cells) if one == rule.cells and counted[i]
        )
        if not members or not total:
            continue
        count = int(counts[list(members)].sum())
        share = _share(count, total)
        also = _of_group(corrected, members, classes)
        by = also["corrected_interval"]
        found.append(
            {
                "cells": rule.cells,
                "classes": [classes[i] for i in members],
                "percent": rule.percent,
                "source": rule.source,
                "share": share["percent"],
                "interval": share["interval"],
                "verdict": _verdict(share["interval"], rule.percent),
                "more_cells": cells_to_decide(count, total, rule.percent, level=LEVEL),
                "corrected_verdict": None if by is None else _verdict(by, rule.percent),
            }
        )
    return found


def _verdict(interval: list[float], percent: float) -> str:
    low, high = interval
    return verdict(low, high, percent)


def _estimates(
    counts: np.ndarray,
    counted: np.ndarray,
    classes: Sequence[str],
    probabilities: np.ndarray,
    validated: Validated,
) -> dict[str, dict[str, float]]:
    """Shares of what counts, in percent, by the other ways to say them."""
    shares = {
        "as_named": counts.astype(float),
        "expectation_maximization": estimate_prior(probabilities, validated.prior),
        "training_prior": validated.prior,
    }
    return {
        way: {
            name: 100 * float(value)
            for name, value, counts_ in zip(
                classes,
                values / max(values[counted].sum(), 1e-300),
                counted,
                strict=True,
            )
            if counts_
        }
        for way, values in shares.items()
    }


def _notes(
    total: int, cells: int, smears: int, corrected: _Corrected | None
) -> list[str]:
    notes = []
    if total < ENOUGH_CELLS:
        notes.append(
            f"{total:,} countable cells: ICSH asks for {ENOUGH_CELLS} or more where a "
            "precise percentage is needed."
        )
    if smears < ENOUGH_SMEARS:
        notes.append("One smear: ICSH asks for two or more.")
    if total < cells:
        notes.append(f"{cells - total:,} of {cells:,} cells do not count.")
    if corrected is not None and not corrected.of_all:
        notes.append(
            "Too few validation cells are of classes that do not count: cells that "
            "are named as such are left out of the corrected shares, and none of the "
            "others is taken for one."
        )
    if corrected is not None and any(len(g.members) > 1 for g in corrected.groups):
        rare = sum(len(g.members) for g in corrected.groups if len(g.members) > 1)
        notes.append(
            f"{rare} classes are corrected in groups, since too few validation cells "
            "are of some of them: the figure stands at the largest class of a group."
        )
    return notes
