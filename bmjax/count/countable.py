"""Which classes count, and what they belong to: a small table that a lab can change.

The default, `countable.csv`, is for the release's 21 classes. That smudged cells and
what is no hematopoietic cell are left out follows the ICSH's guideline (Lee et al.
2008); the lineages are those of `bmjax.evals.lineage`; myeloid, for the ratio to
erythroid cells, are granulocytic and monocytic ones (ours: labs differ on monocytes).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bmjax.data.matek import CLASSES
from bmjax.data.user_tables import read_user_table
from bmjax.errors import DataError

_COLUMNS = ("class", "countable", "lineage", "ratio", "cells")
DEFAULT_TABLE = Path(__file__).with_name("countable.csv")
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0", "")
_RATIO = ("myeloid", "erythroid", "")


class Countable(NamedTuple):
    """What each class of a run belongs to, by its number.

    Attributes:
        counts: whether it is part of the count.
        lineage: its name; "" for none.
        ratio: "myeloid", "erythroid" or "".
        cells: what a threshold calls them, as "blasts", in small letters; "" for none.
        source: of the table, to be shown.
    """

    counts: tuple[bool, ...]
    lineage: tuple[str, ...]
    ratio: tuple[str, ...]
    cells: tuple[str, ...]
    source: str


def read_countable(path: Path | None, classes: Sequence[str]) -> Countable:
    """Read the table for the classes of a run.

    Args:
        path: a CSV with the columns class, countable (yes or no), lineage, ratio
            (myeloid, erythroid or empty) and cells; None: the default.
        classes: names; they are found by abbreviation or full name, in any case.

    Raises:
        DataError: the table cannot be read, says something else, names a class twice,
            or lacks a class; or no class counts.
    """
    table = read_user_table(path or DEFAULT_TABLE, _COLUMNS)
    places = [table.header.index(column) for column in _COLUMNS]
    rows: dict[str, tuple[bool, str, str, str]] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        name, counts, lineage, ratio, cells = (row[place].strip() for place in places)
        where = f"{path or DEFAULT_TABLE.name}, line {line}"
        ratio, cells = ratio.casefold(), cells.casefold()
        if name.casefold() in rows:
            raise DataError(f"{where}: {name!r} is named twice; keep one line of it")
        if counts.casefold() not in (*_YES, *_NO):
            raise DataError(f"{where}: countable is {counts!r}; give yes or no")
        if ratio not in _RATIO:
            raise DataError(
                f"{where}: ratio is {ratio!r}; give myeloid, erythroid or nothing"
            )
        rows[name.casefold()] = (counts.casefold() in _YES, lineage, ratio, cells)
    found = [
        next((rows[key] for key in _spellings(name) if key in rows), None)
        for name in classes
    ]
    absent = [name for name, row in zip(classes, found, strict=True) if row is None]
    if absent:
        raise DataError(
            f"{path or 'the default table of countable classes'} lacks "
            f"{len(absent)} of the run's {len(classes)} classes, first {absent[0]!r}; "
            "give --countable=FILE.csv with a line for each: "
            f"{','.join(_COLUMNS)}"
        )
    known = [row for row in found if row is not None]
    if not any(row[0] for row in known):
        raise DataError(
            f"{path or 'the default table of countable classes'} counts no class; "
            "give --countable=FILE.csv with countable=yes for some of "
            f"{', '.join(classes)}"
        )
    return Countable(
        counts=tuple(row[0] for row in known),
        lineage=tuple(row[1] for row in known),
        ratio=tuple(row[2] for row in known),
        cells=tuple(row[3] for row in known),
        source=path.name if path else "default (ICSH 2008, release's classes)",
    )


def class_key(name: str) -> str:
    """The same for all names of a class: abbreviation or full name, in any case."""
    return _spellings(name)[0]


def _spellings(name: str) -> tuple[str, ...]:
    """A class's name, and the release's other name for it."""
    own = name.casefold()
    for cell in CLASSES:
        both = (cell.abbreviation.casefold(), cell.name.casefold())
        if own in both:
            return both
    return (own,)
