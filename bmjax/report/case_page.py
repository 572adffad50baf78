"""The review of one case: its count and its cells on HTML pages that can be relabeled.

What is counted is written by Python; a script (`case.js`) counts again, by the same
formulas, when a label changes.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.report.render import file_of_report
from bmjax.report.review_pages import (
    Card,
    Review,
    Words,
    likely_classes,
    write_review,
)
from bmjax.report.words import NONE, count, shown_path

CELLS_ON_A_PAGE = 2000  # ours: 5 MB of pictures
NOT_COUNTABLE = -1  # the label of a cell that somebody marked as such
_SIDE = 72  # pixels of a picture; ours


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
        who: has reviewed it, as typed, or "".
        when: likewise.
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
    who: str = ""
    when: str = ""


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
    return write_review(
        path,
        "case.html",
        _shown_order(case, cells),
        lambda number: _card(case, cells[number], number),
        _review(case, cells),
        _words(cells),
        titles=case.titles,
        contents={"case_css": file_of_report("case.css"), **_contents(case, cells)},
        script="case.js",
        side=_SIDE,
        on_a_page=CELLS_ON_A_PAGE,
    )


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


def _card(case: Case, cell: CaseCell, number: int) -> Card:
    marks = {
        "foreign": cell.foreign,
        "doubtful": cell.doubtful,
        "changed": cell.label != cell.predicted,
        "seen": cell.reviewed,
    }
    return Card(
        number=number,
        group=cell.predicted,
        path=shown_path(cell.path),
        label=NONE if cell.label == NOT_COUNTABLE else case.names[cell.label],
        small=f"{cell.probabilities[cell.predicted]:.2f}",
        likely=likely_classes(cell.probabilities, cell.predicted),
        marks=tuple(name for name, there in marks.items() if there),
        picture=cell.picture,
    )


def _words(cells: Sequence[CaseCell]) -> Words:
    return Words(
        title="Cells",
        sentences=(
            f"{count(len(cells))} cells by predicted class; in each class first those "
            "whose second look would change the count most. A dashed border: the "
            "network abstains. A solid one: unlike the cells that it learned from.",
        ),
        likely="one of the classes that are likely",
        none="not countable",
        unlabel="Not countable",
    )


def _review(case: Case, cells: Sequence[CaseCell]) -> Review:
    """What the scripts change, save and count with."""
    _, above, below, *_ = case.ratio
    earlier = [
        (
            cell.path,
            "-" if cell.label == NOT_COUNTABLE else case.names[cell.label],
            case.names[cell.predicted],
            cell.who,
            cell.when,
            case.digest,
        )
        for cell in cells
        if cell.reviewed
    ]
    # Changes that were kept under other classes or labels are none of this page.
    hashed = hashlib.sha256(json.dumps([case.digest, case.names, earlier]).encode())
    return Review(
        key=f"case-{hashed.hexdigest()[:16]}",
        file="corrections.csv",
        names=case.names,
        paths=[cell.path for cell in cells],
        before=[cell.predicted for cell in cells],
        labels=[cell.label for cell in cells],
        seen=[number for number, cell in enumerate(cells) if cell.reviewed],
        earlier=earlier,
        more={"case": case.digest},
        counted={
            "level": case.level,
            "countable": [row.members[0] for row in case.classes],
            "lineages": [{"classes": row.members} for row in case.lineages],
            "ratio": {"above": above, "below": below},
            "thresholds": [
                {"classes": one.members, "percent": one.percent}
                for one in case.thresholds
            ],
        },
    )
