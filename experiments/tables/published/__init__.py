"""Every published figure, kept as data: one file a table, each row with its source.

    table1.csv              paper, Table 1: images of each class
    table2.csv              paper, Table 2: F1 of the baseline and of 20 epochs
    table3.csv              paper, Table 3: precision and recall, mean and deviation
    table4.csv              paper, Table 4: precision, recall and F1
    notebook_table4.csv     authors' notebooks: Table 4 to four digits, with counts
    notebook_table3_f1.csv  authors' notebooks: F1 of the runs of Table 3
    overall.csv             averages that stand in the paper's text or the notebooks

The columns "baseline" are Matek et al. 2021 (strict matching, five folds), as the paper
quotes them; F1 of the baseline was worked out by the paper from precision and recall.
Rows are in the order of the release's folders, as in the paper's Tables 2 to 4; the
row "Avg" is the paper's own average.
"""

import csv
import functools
from pathlib import Path

import numpy as np

from bmjax.data.matek import CLASSES

AVERAGE = "Avg"
NAMES = tuple(cell.abbreviation for cell in CLASSES)


@functools.cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one file, as text."""
    with open(Path(__file__).with_name(f"{name}.csv"), newline="") as file:
        return tuple(csv.DictReader(file))


def column(name: str, key: str, **where: str) -> np.ndarray:
    """One column of a file as float [21], in the order of `NAMES`.

    Args:
        name: of the file.
        key: of the column.
        where: values that other columns have to have, such as system="swav".
    """
    found = {row["class"]: row[key] for row in _matching(name, where)}
    return np.array([float(found[cell]) for cell in NAMES])


def average(name: str, key: str, **where: str) -> float:
    """The paper's own average of a column."""
    (row,) = (row for row in _matching(name, where) if row["class"] == AVERAGE)
    return float(row[key])


def overall(system: str) -> dict[str, float]:
    """Averages of a system that are published without the classes they average."""
    found = [row for row in rows("overall") if row["system"] == system]
    return {row["figure"]: float(row["value"]) for row in found}


def images() -> np.ndarray:
    """Images of each class in the release, int [21]."""
    return column("table1", "images").astype(int)


def test_images() -> np.ndarray:
    """Test images of each class in the authors' single split, int [21]."""
    return column("notebook_table4", "test_images", system="swav").astype(int)


def _matching(name: str, where: dict[str, str]) -> list[dict[str, str]]:
    return [
        row
        for row in rows(name)
        if all(row[other] == value for other, value in where.items())
    ]
