"""A count corrected for the classifier's errors, with an interval that covers them.

The classifier predicts class j for y_j cells of a case. Its errors are known from
validation cells: for C_ij cells of class i it predicted j. With shares p of the true
classes and rows M_i of the true confusion matrix,

    y ~ Multinomial(n, p M),   C_i ~ Multinomial(n_i, M_i),

p and M are drawn from their posterior by Gibbs sampling over the true classes of the
cells, as in Bayesian quantification (Ziegler and Czyz 2024). The interval allows for
the sampling of the case's cells, for the estimate of the confusion matrix, and for a
case whose shares are not those of training. It is assumed that cells of a class look
alike in the validation part and in the case.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Validation cells that a class needs to be corrected by itself; as `bmjax.data.matek`'s
# bound of rare classes: with fewer a row of the confusion says little.
FEWEST = 20
# Cells of a case that it needs to be corrected; ours. With fewer the prior of the
# shares is seen: a true share of 60 % of eight classes was in 58 % of the intervals of
# one cell, in 86 % of those of 5 and in 94 % of those of 20.
FEWEST_COUNTED = 50
# With fewer rounds thrown away intervals of poor classifiers are too narrow; ours.
_CHAINS, _BURNED, _KEPT = 40, 400, 100
# Of each class in the Dirichlet priors of p and of each M_i (Jeffreys). One cell in all
# instead of half a cell a class covered in 90 % with poor classifiers.
_WEIGHT = 0.5


class ClassGroup(NamedTuple):
    """Classes that are corrected together."""

    members: tuple[int, ...]
    largest: int  # the one with the most validation cells, which has the figure


def group_classes(validated: np.ndarray, lineages: Sequence[str]) -> list[ClassGroup]:
    """Put rare classes together, so that every group has FEWEST validation cells.

    A class with enough cells stands alone; the rare ones of a lineage stand together,
    and where these are still too few, with the largest class of the lineage, or with
    the largest of all.

    Args:
        validated: int [N], validation cells of each class.
        lineages: of each class; those that do not count have one of their own.
    """
    order = list(dict.fromkeys(lineages))
    groups: list[list[int]] = []
    lost: list[list[int]] = []
    for lineage in order:
        members = [i for i, one in enumerate(lineages) if one == lineage]
        large = [i for i in members if validated[i] >= FEWEST]
        rare = [i for i in members if validated[i] < FEWEST]
        own = [[i] for i in large]
        if rare and validated[rare].sum() >= FEWEST:
            own.append(rare)
        elif rare and large:
            own[int(np.argmax(validated[large]))] += rare
        elif rare:
            lost.append(rare)
        groups += own
    for rare in lost:
        if not groups:
            groups.append(rare)
            continue
        sizes = [validated[members].sum() for members in groups]
        groups[int(np.argmax(sizes))] += rare
    return [
        ClassGroup(tuple(sorted(members)), max(members, key=lambda i: validated[i]))
        for members in groups
    ]


def posterior_shares(
    named: np.ndarray,
    confusion: np.ndarray,
    *,
    seed: int = 0,
    chains: int = _CHAINS,
    burned: int = _BURNED,
    kept: int = _KEPT,
) -> np.ndarray:
    """Draw shares of the true classes from their posterior.

    Args:
        named: int [..., G], cells that were named each class; leading axes are cases.
        confusion: int [..., G, G], validation cells by true and by named class.
        seed: of the draws.
        chains: independent ones.
        burned: rounds of each that are thrown away.
        kept: rounds of each that count.

    Returns:
        float [chains * kept, ..., G], rows summing to 1.
    """
    random = np.random.default_rng(seed)
    named, confusion = np.asarray(named), np.asarray(confusion, float)
    size = named.shape[-1]
    shape = (chains, *named.shape)
    shares = np.full(shape, 1 / size)
    rows = _dirichlet(random, np.broadcast_to(confusion + _WEIGHT, (*shape, size)))
    counts = np.broadcast_to(named, shape)
    drawn = []
    for round_ in range(burned + kept):
        # p(true i | named j), [..., j, i]
        joint = np.swapaxes(shares[..., None] * rows, -1, -2)
        joint /= joint.sum(axis=-1, keepdims=True)
        true = random.multinomial(counts, joint)
        shares = _dirichlet(random, true.sum(axis=-2) + _WEIGHT)
        rows = _dirichlet(random, confusion + _WEIGHT + np.swapaxes(true, -1, -2))
        if round_ >= burned:
            drawn.append(shares)
    return np.concatenate(drawn)


def shares_among(draws: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Shares among what counts, [D, ..., G]; 0 for what does not.

    Args:
        draws: of `posterior_shares`.
        counts: bool [G].
    """
    among = draws * counts
    return among / np.maximum(among.sum(axis=-1, keepdims=True), 1e-300)


def mean_and_interval(
    draws: np.ndarray, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and equal-tailed interval over the first axis."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return draws.mean(axis=0), low, high


def _dirichlet(random: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    drawn = np.maximum(random.standard_gamma(weights), 1e-300)
    return drawn / drawn.sum(axis=-1, keepdims=True)
