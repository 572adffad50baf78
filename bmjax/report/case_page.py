"""The review of one case: its count and its cells on HTML pages that can be relabeled.

The page needs no network and no server; its one script (`case.js`) is named by its hash
in the page's security policy, so that nothing else can run. What is counted is written
by Python; the script counts again, by the same formulas, when a label changes. Without
scripts the pages are there to read.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.report.render import render, write_page
from bmjax.report.words import NONE, count, shown_path

CELLS_ON_A_PAGE = 2000  # ours: 5 MB of pictures
NOT_COUNTABLE = -1  # the label of a cell that somebody marked as such
_LIKELY = 5  # classes with a key of their own; ours
_LEAST = 0.005  # of a probability that is shown there; ours


class CaseCell(NamedTuple):
    """One cell of a case.

    Attributes:
        path: of its image, below the case's folder.
        predicted: number of the class.
        label: number of the class, or NOT_COUNTABLE; as `predicted` before a review.
        reviewed: whether somebody has looked at it.
        probabilities: float [N], calibrated.
        gain: expected change of the count by a second look; the larger are shown first.
        foreign: whether it is unlike all that the network knows.
        doubtful: whether the network abstains.
        picture: data URI, or "".
    """

    path: str
    predicted: int
    label: int
    reviewed: bool
    probabilities: np.ndarray
    gain: float
    foreign: bool
    doubtful: bool
    picture: str


class Figures(NamedTuple):
    """A row of the count: of a class, a lineage or a threshold's cells.

    Attributes:
        name: of the class or lineage.
        title: its full name.
        members: numbers of the classes that it has.
        n: cells of these.
        percent: 100 n / countable; None where nothing is countable.
        interval: its two ends, in percent; None likewise.
        corrected: percent, with its interval; None where there is none.
    """

    name: str
    title: str
    members: tuple[int, ...]
    n: int
    percent: float | None
    interval: tuple[float, float] | None
    corrected: tuple[float, float, float] | None = None


class Threshold(NamedTuple):
    """A share that decides something, and what the count says of it."""

    name: str
    members: tuple[int, ...]
    percent: float
    share: float | None
    verdict: str  # "below", "at or above" or "undecided"
    source: str
    corrected: str = ""  # the verdict of the corrected interval, where there is one


class Case(NamedTuple):
    """All that the pages of a case say beside its cells.

    Attributes:
        title: of the page.
        data: a line on how many cells of what.
        digest: of the case; corrections of another one are refused.
        names: of all classes, by number.
        titles: their full names.
        classes: rows of those that count.
        apart: rows of those that do not.
        lineages: rows.
        ratio: title, classes above and below, value and the interval's two ends.
        thresholds: of which the verdicts are.
        level: of all intervals.
        corrected: how the corrected figures were made; "" where there are none.
        agreement: a sentence on the labels before and after a review, or "".
        notes: sentences that come first.
        provenance: names and values.
        disclaimer: the last sentence.
    """

    title: str
    data: str
    digest: str
    names: tuple[str, ...]
    titles: tuple[str, ...]
    classes: tuple[Figures, ...]
    apart: tuple[Figures, ...]
    lineages: tuple[Figures, ...]
    ratio: tuple[
        str, tuple[int, ...], tuple[int, ...], float | None, tuple[float, float]
    ]
    thresholds: tuple[Threshold, ...]
    level: float
    corrected: str
    agreement: str
    notes: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    disclaimer: str


def write_case(path: Path, case: Case, cells: Sequence[CaseCell]) -> list[Path]:
    """Write the page of a case, and more of them where it has many cells.

    Args:
        path: of the first page; the second of "case.html" is "case-2.html".
        case: the count.
        cells: all of the case, in any order; their place is their number.

    Raises:
        DataError: a page cannot be written.
    """
    order = _shown_order(case, cells)
    parts = [
        order[start : start + CELLS_ON_A_PAGE]
        for start in range(0, max(len(order), 1), CELLS_ON_A_PAGE)
    ]
    names = [path.name, *(f"{path.stem}-{i + 2}.html" for i in range(len(parts) - 1))]
    here = Path(__file__).parent
    script = "\n" + (here / "case.js").read_text("utf-8")
    shared = {
        "case_css": (here / "case.css").read_text("utf-8"),
        "script": script,
        "script_hash": base64.b64encode(
            hashlib.sha256(script.encode()).digest()
        ).decode(),
        "json": _for_script(case, cells),
        "pages": names,
        **_contents(case, cells),
    }
    return [
        write_page(
            path.with_name(name),
            render(
                "case.html",
                shared | {"page": page, "groups": _groups(case, cells, part)},
            ),
        )
        for page, (name, part) in enumerate(zip(names, parts, strict=True))
    ]


def tenths(value: float | None) -> str:
    """A number with one decimal, or a dash."""
    if value is None:
        return NONE
    return "∞" if value == float("inf") else f"{value:.1f}"


def _ends(pair: Sequence[float] | None) -> str:
    return NONE if pair is None else f"{tenths(pair[0])}{NONE}{tenths(pair[1])}"


def _contents(case: Case, cells: Sequence[CaseCell]) -> dict[str, Any]:
    """What all pages show alike."""
    title, _, _, value, ends = case.ratio
    return {
        "title": case.title,
        "data": case.data,
        "level": f"{case.level:.0%}".replace("%", " %"),
        "total": str(sum(row.n for row in case.classes)),
        "reviewed": str(sum(cell.reviewed for cell in cells)),
        "changed": str(sum(cell.label != cell.predicted for cell in cells)),
        "marked": str(sum(cell.label == NOT_COUNTABLE for cell in cells)),
        "notes": case.notes,
        "corrected": case.corrected,
        "agreement": case.agreement,
        "provenance": case.provenance,
        "disclaimer": case.disclaimer,
        "classes": [_row(row) for row in case.classes],
        "lineages": [_row(row) for row in case.lineages],
        "apart": [_row(row) for row in case.apart],
        "all_classes": [
            {"name": name, "title": full}
            for name, full in zip(case.names, case.titles, strict=True)
        ],
        "ratio": {"title": title, "value": tenths(value), "interval": _ends(ends)},
        "thresholds": [
            {
                "name": one.name,
                "percent": f"{one.percent:g}",
                "share": tenths(one.share),
                "verdict": one.verdict,
                "source": one.source,
                "corrected": one.corrected or NONE,
            }
            for one in case.thresholds
        ],
        "gallery_words": (
            f"{count(len(cells))} cells by predicted class; in each class first those "
            "whose second look would change the count most. A dashed border: the "
            "network abstains. A solid one: unlike the cells that it learned from."
        ),
    }


def _row(row: Figures) -> dict[str, Any]:
    corrected = row.corrected
    return {
        "name": row.name,
        "title": row.title,
        "number": row.members[0],
        "n": str(row.n),
        "percent": tenths(row.percent),
        "interval": _ends(row.interval),
        "corrected": tenths(corrected[0] if corrected else None),
        "corrected_interval": _ends(corrected[1:] if corrected else None),
    }


def _shown_order(case: Case, cells: Sequence[CaseCell]) -> list[int]:
    """Cells by class: those that count first, and within it what matters most."""
    rows = (*case.classes, *case.apart)
    place = {row.members[0]: number for number, row in enumerate(rows)}
    return sorted(
        range(len(cells)),
        key=lambda i: (
            place[cells[i].predicted],
            not cells[i].foreign,
            not cells[i].doubtful,
            -cells[i].gain,
            cells[i].path,
        ),
    )


def _groups(
    case: Case, cells: Sequence[CaseCell], part: Sequence[int]
) -> list[dict[str, Any]]:
    """The cells of one page, by class."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for number in part:
        groups.setdefault(cells[number].predicted, []).append(
            _shown_cell(case, cells[number], number)
        )
    return [
        {"name": case.names[i], "title": case.titles[i], "cells": members}
        for i, members in groups.items()
    ]


def _shown_cell(case: Case, cell: CaseCell, number: int) -> dict[str, Any]:
    order = np.argsort(-cell.probabilities, kind="stable")[:_LIKELY]
    likely = [
        [int(i), f"{cell.probabilities[i]:.2f}"]
        for i in order
        if cell.probabilities[i] >= _LEAST or i == cell.predicted
    ]
    return {
        "number": number,
        "path": shown_path(cell.path),
        "label": NONE if cell.label == NOT_COUNTABLE else case.names[cell.label],
        "probability": f"{cell.probabilities[cell.predicted]:.2f}",
        "likely": json.dumps(likely),
        "foreign": cell.foreign,
        "doubtful": cell.doubtful,
        "changed": cell.label != cell.predicted,
        "seen": cell.reviewed,
        "picture": cell.picture,
    }


def _for_script(case: Case, cells: Sequence[CaseCell]) -> str:
    """What the script counts with, as JSON that cannot end its element."""
    countable = {row.members[0] for row in case.classes}
    _, above, below, *_ = case.ratio
    text = json.dumps(
        {
            "digest": case.digest,
            "level": case.level,
            "classes": [
                {"name": name, "countable": i in countable}
                for i, name in enumerate(case.names)
            ],
            "lineages": [{"classes": row.members} for row in case.lineages],
            "ratio": {"above": above, "below": below},
            "thresholds": [
                {"classes": one.members, "percent": one.percent}
                for one in case.thresholds
            ],
            "paths": [cell.path for cell in cells],
            "predicted": [cell.predicted for cell in cells],
            "labels": [cell.label for cell in cells],
            "reviewed": sum(cell.reviewed for cell in cells),
        },
        separators=(",", ":"),
    )
    return text.replace("<", "\\u003c").replace("&", "\\u0026")
