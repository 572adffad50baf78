"""Parts of the rows that stand for all of them."""

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


def held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which rows are a validation part: a share of each class, rounded down, bool [n].

    A class keeps at least as much as is held out; one of few rows keeps them all.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, 1]))
    outside = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        outside[random.permutation(members)[: int(share * len(members))]] = True
    return outside
