"""Whether the smears of a case agree: as well as cells drawn from one pool would."""

from collections.abc import Sequence
from typing import Any

import numpy as np

DIFFERENT = 0.01  # p-value below which it is said that they do not; ours
_DRAWS = 2000  # permutations: a p-value of 0.01 has a standard error of 0.002
_AT_ONCE = 200


def smears_agree(
    labels: np.ndarray, smears: Sequence[str], classes: Sequence[str], *, seed: int = 0
) -> dict[str, Any] | None:
    """Compare the shares of the classes in each smear.

    The chi-squared statistic of the table of smears by classes is held against those of
    permuted labels, which is exact for small counts too.

    Args:
        labels: int [n], of cells that count.
        smears: of each cell.
        classes: N names.
        seed: of the permutations.

    Returns:
        None for one smear or no cells; else `p_value` and, for each smear, its `smear`,
        `cells` and the `percent` of each class that occurs.
    """
    names = sorted(set(smears))
    if len(names) < 2 or not len(labels):
        return None
    numbers = {name: i for i, name in enumerate(names)}
    rows = np.array([numbers[one] for one in smears])
    kinds, columns = np.unique(labels, return_inverse=True)
    shape = (len(names), len(kinds))
    observed = _tables(rows, columns[None], shape)[0]
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / len(labels)
    random = np.random.default_rng(seed)
    reached = _statistic(observed[None], expected)[0]
    above = 0
    for _ in range(0, _DRAWS, _AT_ONCE):
        permuted = random.permuted(np.tile(columns, (_AT_ONCE, 1)), axis=1)
        drawn = _statistic(_tables(rows, permuted, shape), expected)
        above += int(np.sum(drawn >= reached * (1 - 1e-12)))
    return {
        "p_value": (above + 1) / (_DRAWS + 1),
        "smears": [
            {
                "smear": name,
                "cells": int(observed[i].sum()),
                "percent": {
                    classes[kind]: 100 * float(observed[i, place] / observed[i].sum())
                    for place, kind in enumerate(kinds)
                },
            }
            for i, name in enumerate(names)
        ],
    }


def _tables(
    rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Tables of smears by classes, [D, S, K], of labels [D, n]."""
    draws, (smears, kinds) = len(columns), shape
    places = (np.arange(draws)[:, None] * smears + rows[None]) * kinds + columns
    counted = np.bincount(places.ravel(), minlength=draws * smears * kinds)
    return counted.reshape(draws, smears, kinds)


def _statistic(tables: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Pearson's chi-squared of each table, [D]."""
    return ((tables - expected[None]) ** 2 / expected[None]).sum(axis=(1, 2))
