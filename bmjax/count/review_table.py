"""Corrections of a case's labels, as the review page saves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.user_tables import pair_images, read_user_table
from bmjax.errors import DataError
from bmjax.files import without_dot
from bmjax.report.case_page import NOT_COUNTABLE

_COLUMNS = ("path", "label", "case")
_NO_CLASS = "-"  # in the table, of a cell that does not count


class Reviewed(NamedTuple):
    """Labels after a review.

    Attributes:
        labels: int [n], the class of each cell, or NOT_COUNTABLE.
        reviewed: bool [n], whether a reader has looked at it.
        who: that was, as typed; "" where nobody has, or gave no name.
        when: likewise.
    """

    labels: np.ndarray
    reviewed: np.ndarray
    who: tuple[str, ...]
    when: tuple[str, ...]

    @property
    def readers(self) -> tuple[str, ...]:
        """All who reviewed a cell."""
        return tuple(dict.fromkeys(filter(None, self.who)))


def no_review(predicted: np.ndarray) -> Reviewed:
    """The labels before any review."""
    nothing = ("",) * len(predicted)
    nobody = np.zeros(len(predicted), bool)
    return Reviewed(np.array(predicted), nobody, nothing, nothing)


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
    number = {one: i for i, one in enumerate(paths)}
    known = {one: i for i, one in enumerate(classes)} | {_NO_CLASS: NOT_COUNTABLE}
    review = no_review(predicted)
    who, when = list(review.who), list(review.when)
    cells = pair_images([row[table.header.index("path")] for row in table.rows], paths)
    for values, cell, line in zip(table.rows, cells, table.lines, strict=True):
        row = {
            name.strip().lower(): without_dot(value.strip())
            for name, value in zip(table.header, values, strict=True)
        }
        where = f"{path}, line {line}"
        if row["case"] != digest:
            raise DataError(
                f"{where}: these corrections are of the case {row['case']!r} and this "
                f"is {digest!r}; give those that were saved from this case's page"
            )
        if cell is None:
            raise DataError(f"{where}: there is no cell {row['path']!r} in this case")
        if row["label"] not in known:
            raise DataError(
                f"{where}: label is {row['label']!r}; give one of "
                f'{", ".join(classes)}, or "{_NO_CLASS}" for a cell that does not count'
            )
        place = number[cell]
        if review.reviewed[place]:
            raise DataError(f"{where}: {row['path']!r} is named twice; keep one line")
        review.labels[place] = known[row["label"]]
        review.reviewed[place] = True
        who[place], when[place] = row.get("who", ""), row.get("when", "")
    return review._replace(who=tuple(who), when=tuple(when))
