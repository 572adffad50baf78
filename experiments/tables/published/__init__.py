"""All that is published, kept as data: one file a table, each row with its source.

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
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bmjax.data.matek import CLASSES

AVERAGE = "Avg"
CLASS_NAMES = tuple(cell.abbreviation for cell in CLASSES)


@functools.cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of one file, as text."""
    with open(Path(__file__).with_name(f"{name}.csv"), newline="") as file:
        return tuple(csv.DictReader(file))


def matching(name: str, where: Mapping[str, str]) -> list[dict[str, str]]:
    """The rows of a file whose other columns have these values."""
    return [
        row
        for row in rows(name)
        if all(row[column] == value for column, value in where.items())
    ]


def column(name: str, key: str, **where: str) -> np.ndarray:
    """One column of a file as float [21], in the order of `CLASS_NAMES`.

    Args:
        name: of the file.
        key: of the column.
        where: values that other columns have to have, such as system="swav".
    """
    values = {row["class"]: row[key] for row in matching(name, where)}
    return np.array([float(values[cell]) for cell in CLASS_NAMES])


def average(name: str, key: str, **where: str) -> float:
    """The paper's own average of a column."""
    (row,) = matching(name, {**where, "class": AVERAGE})
    return float(row[key])


def overall(system: str) -> dict[str, float]:
    """Averages of a system that are published without the classes they average."""
    stated = matching("overall", {"system": system})
    return {row["metric"]: float(row["value"]) for row in stated}


def images() -> np.ndarray:
    """Images of each class in the release, int [21]."""
    return column("table1", "images").astype(int)


def test_images() -> np.ndarray:
    """Test images of each class in the authors' single split, int [21]."""
    return column("notebook_table4", "test_images", system="swav").astype(int)
