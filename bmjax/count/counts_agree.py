"""How well two readers' counts agree: what agreement.json says."""

import math
from typing import Any

import numpy as np

from bmjax.count.two_readers import SideBySide
from bmjax.evals.intervals import clopper_pearson
from bmjax.evals.method_agreement import (
    FEWEST_LIMITS,
    FEWEST_LINE,
    Limits,
    Line,
    kappa_of,
    limits_of_agreement,
    passing_bablok,
)

_LEVEL = 0.95
_MOST_POINTS = 4000  # of a line: all pairs are 64 MB then; ours
_WANTED_CASES = 40  # CLSI EP09 asks for so many where two methods are compared


def counts_agree(side: SideBySide, first: str, second: str) -> dict[str, Any]:
    """Compare two readers' counts.

    Args:
        side: their counts.
        first: name of the first reader.
        second: of the second.

    Returns:
        `first`, `second`, `cases` (names of those compared), `level`, `same_cells`
        (None where no cell was read by both), `classes` (each `class`, cells `n` and
        `percent` of both readers in the order of the cases, `limits`, `line` and
        `reason`, why there is no line), `all_classes` (`limits` and `line` over cases
        and classes) and `notes`. Percentages are of the cells that count.
    """
    totals = np.stack([side.first.sum(axis=1), side.second.sum(axis=1)])
    kept = np.all(totals > 0, axis=0)
    percent = [
        100 * counts[kept] / total[kept, None]
        for counts, total in zip((side.first, side.second), totals, strict=True)
    ]
    classes = [
        {
            "class": name,
            "n": [int(side.first[kept, i].sum()), int(side.second[kept, i].sum())],
            "percent": [percent[0][:, i].tolist(), percent[1][:, i].tolist()],
            **_compared(percent[0][:, i], percent[1][:, i]),
        }
        for i, name in enumerate(side.classes)
    ]
    occurs = (percent[0] > 0) | (percent[1] > 0)
    return {
        "first": first,
        "second": second,
        "cases": [name for name, k in zip(side.cases, kept, strict=True) if k],
        "level": _LEVEL,
        "cells": [int(total[kept].sum()) for total in totals],
        "same_cells": _same_cells(side),
        "classes": classes,
        "all_classes": _compared(percent[0][occurs], percent[1][occurs]),
        "notes": _notes(side, kept),
    }


def some_cases(number: int) -> str:
    """`1 case`, `24 cases`."""
    return f"{number:,} case{'' if number == 1 else 's'}"


def _compared(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    limits = None
    if len(first) >= FEWEST_LIMITS:
        limits = limits_of_agreement(first, second, level=_LEVEL)
    line = reason = None
    if len(first) < FEWEST_LINE:
        reason = f"fewer than {FEWEST_LINE} cases"
    elif len(first) > _MOST_POINTS:
        reason = f"more than {_MOST_POINTS:,} points"
    else:
        line = passing_bablok(first, second, level=_LEVEL)
        if line is None:
            reason = "too many equal shares, or they do not rise together"
    return {"limits": _plain(limits), "line": _plain(line), "reason": reason}


def _plain(found: Limits | Line | None) -> dict[str, Any] | None:
    """As JSON takes it: an end that is not bounded is None."""
    if found is None:
        return None
    return {
        name: _number(value) if isinstance(value, float) else [*map(_number, value)]
        for name, value in found._asdict().items()
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _same_cells(side: SideBySide) -> dict[str, Any] | None:
    cells = int(side.same.sum())
    if not cells:
        return None
    kappa = kappa_of(side.same, level=_LEVEL)
    alike = int(np.trace(side.same))
    low, high = map(float, clopper_pearson(alike, cells, level=_LEVEL))
    return {
        "cells": cells,
        "alike": alike,
        "observed_interval": [low, high],
        "kappa": kappa.value,
        "kappa_interval": kappa.interval and [*kappa.interval],
        "labels": list(side.labels),
        "table": side.same.tolist(),
    }


def _notes(side: SideBySide, kept: np.ndarray) -> list[str]:
    notes = []
    cases = int(kept.sum())
    if side.alone:
        more = ", ..." if len(side.alone) > 3 else ""
        notes.append(
            f"{some_cases(len(side.alone))} of one reader alone left out: "
            f"{', '.join(side.alone[:3])}{more}."
        )
    if side.alone_cells:
        notes.append(
            f"{side.alone_cells:,} cells were read by one reader alone: shares are of "
            "what each has read."
        )
    if cases < len(kept):
        notes.append(
            f"{some_cases(len(kept) - cases)} without a cell that counts left out."
        )
    if cases < FEWEST_LIMITS:
        notes.append(
            f"{some_cases(cases)}: limits of agreement need {FEWEST_LIMITS} and a line "
            f"{FEWEST_LINE} at least."
        )
    elif cases < _WANTED_CASES:
        notes.append(
            f"{cases} cases: CLSI EP09 asks for {_WANTED_CASES} where two methods are "
            "compared, and the intervals are wide."
        )
    return notes
