"""A part of the rows that stands for all of them."""

import numpy as np

_LEAST = 10  # rows of a class, where it has so many; ours


def choose_rows(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """About `count` rows, every class kept in proportion, ten of each at least.

    Args:
        labels: int [n].
        count: how many; all rows where there are no more.
        seed: of the choice.

    Returns:
        int [m], ascending.
    """
    rows = np.arange(len(labels))
    if len(rows) <= count:
        return rows
    random = np.random.Generator(np.random.Philox(seed))
    share = count / len(rows)
    return np.sort(
        np.concatenate(
            [
                random.permutation(members)[: max(_LEAST, round(share * len(members)))]
                for members in (
                    np.flatnonzero(labels == label) for label in np.unique(labels)
                )
            ]
        )
    )
