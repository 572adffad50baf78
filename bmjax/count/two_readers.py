"""Counts of two readers, read from what they have, and set side by side."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.count.countable import class_key, read_countable
from bmjax.data.user_tables import pair_images, read_user_table
from bmjax.errors import DataError
from bmjax.evals.confusion import confusion_matrix
from bmjax.files import read_json_object, without_dot

_COUNT_FILE, _CELLS_FILE = "count.json", "cells.csv"
_NO_CLASS = "-"  # a cell that does not count
_ONE_CASE = "."  # the name of a reader's only case


class ReaderCounts(NamedTuple):
    """What one reader counted.

    Attributes:
        counts: cells of each class that counts, by case.
        cells: class of each cell, by case and path; {} where cells are not known.
    """

    counts: dict[str, dict[str, int]]
    cells: dict[str, dict[str, str]]


class SideBySide(NamedTuple):
    """Two readers' counts of the same cases.

    Attributes:
        cases: C names.
        classes: N names, those that either gave, in the order of their shares.
        first: int [C, N], cells.
        second: int [C, N].
        labels: names of the classes of same cells, "-" for one that does not count.
        same: int [L, L], same cells by the first reader's label and the second's.
        alone: cases that one reader has alone.
        alone_cells: cells that one reader has alone, of cases whose cells both name.
    """

    cases: tuple[str, ...]
    classes: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    labels: tuple[str, ...]
    same: np.ndarray
    alone: tuple[str, ...]
    alone_cells: int = 0


def read_counts(path: Path, countable: Path | None) -> ReaderCounts:
    """Read one reader's counts.

    Args:
        path: a folder of `bmjax count`, or one with such a folder for each case; a CSV
            with path and label, of cells (cells.csv, corrections.csv); or one with
            case, class and n.
        countable: which classes of a CSV count; None: the default table. What
            `bmjax count` wrote says so itself.

    Raises:
        DataError: there is nothing of this there, or it says something else.
    """
    if path.is_dir():
        return _read_folders(path)
    table = read_user_table(path, (), any_of=("label", "n"))
    if "label" in table.header:
        cells = _read_cells(path)
        counted = _counted(set(cells.values()) - {_NO_CLASS}, countable)
        counts = Counter(one for one in cells.values() if one in counted)
        return ReaderCounts({_ONE_CASE: dict(counts)}, {_ONE_CASE: cells})
    return ReaderCounts(_read_numbers(path, countable), {})


def pair_readers(first: ReaderCounts, second: ReaderCounts) -> SideBySide:
    """Set two readers' counts side by side.

    Classes are the same by abbreviation or full name, in any case; they have the name
    that comes first. Cases are paired by name. The only case of a reader, given
    without a name, pairs with the only case of the other.

    Raises:
        DataError: they have no case in common.
    """
    if _ONE_CASE in first.counts and len(second.counts) == 1:
        second = _renamed(second, _ONE_CASE)
    elif _ONE_CASE in second.counts and len(first.counts) == 1:
        first = _renamed(first, _ONE_CASE)
    spelled: dict[str, str] = {}
    first, second = (_spelled(reader, spelled) for reader in (first, second))
    cases = tuple(name for name in first.counts if name in second.counts)
    if not cases:
        raise DataError(
            f"the two readers have no case in common: {_some(first.counts)} and "
            f"{_some(second.counts)}; give the cases the same names"
        )
    either = {*first.counts, *second.counts} - {*cases}
    total: Counter[str] = Counter()
    for reader in (first, second):
        for name in cases:
            total.update(reader.counts[name])
    classes = tuple(one for one, number in total.most_common() if number)
    if not classes:
        raise DataError("no cell of the two counts is of a class that counts")
    both = [
        (first.cells[name], second.cells[name])
        for name in cases
        if name in first.cells and name in second.cells
    ]
    pairs = [pair for cells in both for pair in _pair_cells(*cells)]
    given = {one for pair in pairs for one in pair}
    labels = tuple(one for one in classes if one in given)
    labels += tuple(sorted(given - {*labels}))
    number = {one: i for i, one in enumerate(labels)}
    rows = np.array([number[one] for one, _ in pairs], int)
    columns = np.array([number[other] for _, other in pairs], int)
    return SideBySide(
        cases,
        classes,
        _matrix(first, cases, classes),
        _matrix(second, cases, classes),
        labels,
        confusion_matrix(rows, columns, len(labels)),
        tuple(sorted(either)),
        sum(len(cells) for pair in both for cells in pair) - 2 * len(pairs),
    )


def _renamed(reader: ReaderCounts, name: str) -> ReaderCounts:
    """A reader's only case by another name."""
    cells = list(reader.cells.values())
    counts = list(reader.counts.values())
    return ReaderCounts({name: counts[0]}, {name: cells[0]} if cells else {})


def _spelled(reader: ReaderCounts, names: dict[str, str]) -> ReaderCounts:
    """A reader's counts with the names of classes by their key; new ones are added."""

    def name(given: str) -> str:
        return names.setdefault(class_key(given), given)

    counts = {}
    for case, of_case in reader.counts.items():
        counts[case] = Counter[str]()
        for given, number in of_case.items():
            counts[case][name(given)] += number
    cells = {
        case: {path: name(given) for path, given in of_case.items()}
        for case, of_case in reader.cells.items()
    }
    return ReaderCounts({case: dict(one) for case, one in counts.items()}, cells)


def _read_folders(path: Path) -> ReaderCounts:
    files = sorted(path.rglob(_COUNT_FILE))
    if not files:
        raise DataError(
            f"there is no {_COUNT_FILE} below {str(path)!r}; give a folder that bmjax "
            "count wrote, a folder of such, or a CSV"
        )
    counts, cells = {}, {}
    for file in files:
        name = file.parent.relative_to(path).as_posix()
        counts[name] = _read_count(file)
        if (file.parent / _CELLS_FILE).exists():
            cells[name] = _read_cells(file.parent / _CELLS_FILE)
    return ReaderCounts(counts, cells)


def _read_count(file: Path) -> dict[str, int]:
    """Cells of each class that counts."""
    try:
        rows: Any = read_json_object(file)["classes"]
        return {
            str(row["class"]): int(row["n"]) for row in rows if row["countable"] is True
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{file} is no count that bmjax count wrote; count the case again"
        ) from None


def _read_cells(path: Path) -> dict[str, str]:
    table = read_user_table(path, ("path", "label"))
    name, label = (table.header.index(column) for column in ("path", "label"))
    cells: dict[str, str] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        if row[name] in cells:
            raise DataError(
                f"{path}, line {line}: {row[name]!r} is named twice; keep one line"
            )
        if not row[label].strip():
            raise DataError(
                f"{path}, line {line}: there is no label; give a class, or "
                f'"{_NO_CLASS}" for a cell that does not count'
            )
        cells[row[name]] = without_dot(row[label].strip())
    if not cells:
        raise DataError(f"{path} names no cell; give a line for each")
    return cells


def _read_numbers(path: Path, countable: Path | None) -> dict[str, dict[str, int]]:
    columns = ("case", "class", "n")
    table = read_user_table(path, columns)
    places = [table.header.index(column) for column in columns]
    counts: dict[str, dict[str, int]] = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        case, name, number = (row[place].strip() for place in places)
        if not number.isdecimal():
            raise DataError(f"{path}, line {line}: n is {number!r}; give cells counted")
        of_case = counts.setdefault(case, {})
        if name in of_case:
            raise DataError(
                f"{path}, line {line}: {name!r} of case {case!r} stands there twice; "
                "keep one line"
            )
        of_case[name] = int(number)
    if not counts:
        raise DataError(f"{path} names no case; give lines of {','.join(columns)}")
    counted = _counted({name for one in counts.values() for name in one}, countable)
    return {
        case: {name: n for name, n in one.items() if name in counted}
        for case, one in counts.items()
    }


def _counted(classes: set[str], countable: Path | None) -> set[str]:
    """Those of the classes that count."""
    names = sorted(classes)
    if not names:
        return set()
    table = read_countable(countable, names)
    return {name for name, counts in zip(names, table.counts, strict=True) if counts}


def _pair_cells(
    first: Mapping[str, str], second: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Both labels of the cells that both have."""
    paths = list(second)
    return [
        (first[known], second[path])
        for path, known in zip(paths, pair_images(paths, list(first)), strict=True)
        if known is not None
    ]


def _matrix(
    reader: ReaderCounts, cases: tuple[str, ...], classes: tuple[str, ...]
) -> np.ndarray:
    return np.array(
        [[reader.counts[case].get(name, 0) for name in classes] for case in cases]
    )


def _some(names: Mapping[str, Any]) -> str:
    more = ", ..." if len(names) > 2 else ""
    return ", ".join(map(repr, list(names)[:2])) + more
