"""Corrections of a case's labels, as the review page saves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.user_tables import pair_images, read_user_table
from bmjax.errors import DataError
from bmjax.report.case_page import NOT_COUNTABLE

_COLUMNS = ("path", "label", "case")
_NO_CLASS = "-"  # in the table, of a cell that does not count


class Reviewed(NamedTuple):
    """Labels after a review.

    Attributes:
        labels: int [n], the class of each cell, or NOT_COUNTABLE.
        reviewed: bool [n], whether a reader has looked at it.
        readers: names as they were typed.
    """

    labels: np.ndarray
    reviewed: np.ndarray
    readers: tuple[str, ...]


def read_review(
    path: Path,
    paths: Sequence[str],
    predicted: np.ndarray,
    classes: Sequence[str],
    digest: str,
) -> Reviewed:
    """Read the table that the page saved.

    Args:
        path: a CSV with the columns path, label ("-": not countable) and case.
        paths: of the case's cells.
        predicted: int [n].
        classes: names.
        digest: of the case.

    Raises:
        DataError: the table cannot be read, is of another case, or names a cell that
            is not there or twice, or a class that the run does not have.
    """
    table = read_user_table(path, _COLUMNS)
    name, label, case = (table.header.index(column) for column in _COLUMNS)
    who = table.header.index("who") if "who" in table.header else None
    number = {one: i for i, one in enumerate(paths)}
    known = {one: i for i, one in enumerate(classes)} | {_NO_CLASS: NOT_COUNTABLE}
    labels = np.array(predicted)
    reviewed = np.zeros(len(paths), bool)
    readers: dict[str, None] = {}
    cells = pair_images([row[name] for row in table.rows], paths)
    for row, cell, line in zip(table.rows, cells, table.lines, strict=True):
        where = f"{path}, line {line}"
        if row[case].strip() != digest:
            raise DataError(
                f"{where}: these corrections are of the case {row[case]!r} and this is "
                f"{digest!r}; give those that were saved from this case's page"
            )
        if cell is None:
            raise DataError(f"{where}: there is no cell {row[name]!r} in this case")
        if row[label] not in known:
            raise DataError(
                f"{where}: label is {row[label]!r}; give one of {', '.join(classes)}, "
                f'or "{_NO_CLASS}" for a cell that does not count'
            )
        if reviewed[number[cell]]:
            raise DataError(f"{where}: {row[name]!r} is named twice; keep one line")
        labels[number[cell]] = known[row[label]]
        reviewed[number[cell]] = True
        if who is not None and row[who].strip():
            readers[row[who].strip()] = None
    return Reviewed(labels, reviewed, tuple(readers))
