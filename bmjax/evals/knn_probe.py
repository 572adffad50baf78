"""k nearest neighbors on frozen features."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

_TEST_BLOCK, _TRAIN_BLOCK = 256, 8192  # rows compared at a time: bounds the memory


def knn_probabilities(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    *,
    classes: int,
    neighbors: tuple[int, ...],
) -> dict[int, np.ndarray]:
    """Share of each class among the k nearest training images, by cosine.

    Args:
        train: float32 [n, F], may be mapped from disk.
        train_labels: int [n].
        test: float32 [m, F].
        classes: N.
        neighbors: values of k.

    Returns:
        for each k, float32 [m, N]; rows sum to 1. The first of equal classes wins an
        argmax, except that the nearest neighbor's class is preferred by a hair.
    """
    most = min(max(neighbors), len(train))
    starts = range(0, len(test), _TEST_BLOCK)
    blocks = [_padded_unit(test[i : i + _TEST_BLOCK], _TEST_BLOCK) for i in starts]
    best = [
        (
            jnp.full((_TEST_BLOCK, most), -jnp.inf),
            jnp.zeros((_TEST_BLOCK, most), jnp.int32),
        )
        for _ in starts
    ]
    for first in range(0, len(train), _TRAIN_BLOCK):
        rows = slice(first, first + _TRAIN_BLOCK)
        known = jnp.asarray(_padded_unit(train[rows], _TRAIN_BLOCK))
        names = np.full(_TRAIN_BLOCK, -1, np.int32)
        names[: len(train_labels[rows])] = train_labels[rows]
        best = [
            _merge(*nearest, block, known, names, most=most)
            for nearest, block in zip(best, blocks, strict=True)
        ]
    nearest = np.concatenate([np.asarray(labels) for _, labels in best])[: len(test)]
    votes = np.eye(classes, dtype=np.float32)[nearest]  # [m, k, N]
    results = {}
    for k in neighbors:
        weights = votes[:, :k].sum(axis=1) + 1e-3 * votes[:, 0]
        results[k] = weights / weights.sum(axis=1, keepdims=True)
    return results


def _padded_unit(features: np.ndarray, rows: int) -> np.ndarray:
    features = np.asarray(features, np.float32)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(length, 1e-12)
    return np.pad(unit, ((0, rows - len(unit)), (0, 0)))


@partial(jax.jit, static_argnames="most")
def _merge(
    scores: Array, labels: Array, test: Any, train: Array, names: Any, *, most: int
) -> tuple[Array, Array]:
    """Take the best of those found and of another block of training rows."""
    # An accelerator's own choice would round cosines to three digits.
    cosines = jnp.matmul(test, train.T, precision="highest")
    closeness = jnp.where(names[None] >= 0, cosines, -jnp.inf)
    everything = jnp.concatenate([scores, closeness], axis=1)
    candidates = jnp.concatenate(
        [labels, jnp.broadcast_to(names[None], closeness.shape)], axis=1
    )
    best, where = jax.lax.top_k(everything, most)
    return best, jnp.take_along_axis(candidates, where, axis=1)
