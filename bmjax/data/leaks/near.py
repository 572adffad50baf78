"""Near copies: turned, flipped, compressed again, slightly cropped or brighter.

Two stages. A short descriptor of every image is compared with every other's, under the
eight symmetries of the square: a candidate may not be missed, and most are false. Then
the two thumbnails of each candidate are laid on one another: a copy agrees almost
wholly, another cell does not.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

_WAVES = 5  # of the cosine transform, each way: coarser is not told apart by much,
_COLORS = 2  # finer does not survive a crop; the third color is mostly noise
_ROWS, _COLUMNS = 256, 1024  # a product of them stays in a core's cache
_CANDIDATES = 50  # of one image, the most alike

# On 4,541 real cells (10.3 million pairs, none of them copies) 2 pairs in 10,000 are
# above it; of copies cropped by 5 % none is below, of copies cropped by 8 % 4 in 100.
CANDIDATE = 0.75


class Pairs(NamedTuple):
    """Candidates: positions first < second, and how the first is turned onto it."""

    first: np.ndarray  # int64 [m]
    second: np.ndarray  # int64 [m]
    symmetry: np.ndarray  # int64 [m], 0 to 7
    cosine: np.ndarray  # float32 [m]


def turn(images: np.ndarray, symmetry: int) -> np.ndarray:
    """One of the eight symmetries of the square, of [..., H, W, C]; 0 is none."""
    if symmetry & 4:
        images = np.swapaxes(images, -3, -2)
    if symmetry & 2:
        images = images[..., ::-1, :, :]
    if symmetry & 1:
        images = images[..., :, ::-1, :]
    return images


def describe_thumbnails(thumbnails: np.ndarray) -> np.ndarray:
    """Directions of the low frequencies, float32 [n, 50] of length 1.

    The 5 x 5 lowest coefficients of the cosine transform, of which a flip changes
    signs and a transposition the order: `turn_descriptors` needs no image. Of each
    coefficient the mean over the images and their symmetries is taken off, and its
    three colors become the two strongest principal components, scaled to variance 1:
    what all cells have in common does not count.

    Args:
        thumbnails: uint8 [n, S, S, 3].
    """
    waves = _transform(thumbnails)
    mean = np.zeros(waves.shape[1:])
    for turned in _turned(waves):
        mean += turned.mean(axis=0, dtype=np.float64) / 8
    centered = waves - mean.astype(np.float32)
    covariance = np.zeros((_WAVES, _WAVES, 3, 3))
    for turned in _turned(centered):
        covariance += np.einsum("nuvc,nuvd->uvcd", turned, turned) / (8 * len(waves))
    variances, axes = np.linalg.eigh(covariance)
    # One grey level of noise has variance 1: less than that is not scaled up.
    scaled = axes / np.sqrt(np.maximum(variances, 1.0))[..., None, :]
    strongest = scaled[..., ::-1][..., :_COLORS].astype(np.float32)
    found = np.einsum("nuvc,uvck->nuvk", centered, strongest).reshape(len(waves), -1)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.maximum(length, 1e-6)).astype(np.float32)


def turn_descriptors(descriptors: np.ndarray) -> list[np.ndarray]:
    """Descriptors of the images under each symmetry, by its number."""
    shape = (len(descriptors), _WAVES, _WAVES, _COLORS)
    return [
        np.ascontiguousarray(turned).reshape(len(descriptors), -1)
        for turned in _turned(descriptors.reshape(shape))
    ]


def search(
    descriptors: np.ndarray,
    *,
    threshold: float = CANDIDATE,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Pairs]:
    """Pairs that agree under some symmetry, a few hundred images at a time.

    Every pair is looked at once; memory is bounded: of one image the 50 most alike
    among those after it are kept.

    Args:
        descriptors: float32 [n, D], of `describe_thumbnails`.
        threshold: cosine from which a pair is a candidate.
        threads: 0 takes one for each core.
        progress: called with how many pairs were compared, and of how many.
    """
    from threadpoolctl import threadpool_limits

    count = len(descriptors)
    total = count * (count - 1) // 2
    starts = range(0, count, _ROWS)
    progress(0, total)
    with (
        threadpool_limits(1),  # our threads share the work already
        ThreadPoolExecutor(threads or os.cpu_count()) as pool,
    ):
        blocks = pool.map(lambda start: _block(descriptors, start, threshold), starts)
        for start, found in zip(starts, blocks, strict=True):
            left = max(count - start - _ROWS, 0)
            progress(total - left * (left - 1) // 2, total)
            yield found


def _block(descriptors: np.ndarray, start: int, threshold: float) -> Pairs:
    """Candidates of some hundred images among those after each."""
    queries = turn_descriptors(descriptors[start : start + _ROWS])
    product = np.empty((len(queries[0]), _COLUMNS), np.float32)
    found = [(np.empty(0, np.int64),) * 3 + (np.empty(0, np.float32),)]
    for column in range(start, len(descriptors), _COLUMNS):
        others = descriptors[column : column + _COLUMNS].T
        cosines = product[:, : others.shape[1]]
        for symmetry, turned in enumerate(queries):
            np.matmul(turned, others, out=cosines)
            if cosines.max() < threshold:
                continue
            rows, columns = np.nonzero(cosines >= threshold)
            after = rows + start < columns + column
            rows, columns = rows[after], columns[after]
            found.append(
                (
                    rows + start,
                    columns + column,
                    np.full(len(rows), symmetry),
                    cosines[rows, columns],
                )
            )
    pairs = Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))
    return _most_alike(pairs)


def _most_alike(pairs: Pairs) -> Pairs:
    """Each pair once, in its best symmetry; of each first image the 50 best."""
    order = np.lexsort((-pairs.cosine, pairs.second, pairs.first))
    pairs = Pairs(*(part[order] for part in pairs))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(pairs.first) != 0) | (np.diff(pairs.second) != 0)
    pairs = Pairs(*(part[new] for part in pairs))
    order = np.lexsort((-pairs.cosine, pairs.first))
    first = pairs.first[order]
    rank = np.arange(len(first)) - np.searchsorted(first, first)
    kept = order[rank < _CANDIDATES]
    return Pairs(*(part[kept] for part in pairs))


def _transform(thumbnails: np.ndarray) -> np.ndarray:
    """The lowest coefficients of the cosine transform, float32 [n, 5, 5, 3]."""
    size = thumbnails.shape[1]
    wave, place = np.arange(_WAVES)[:, None], np.arange(size)[None]
    basis = np.sqrt(2 / size) * np.cos(np.pi * wave * (2 * place + 1) / (2 * size))
    basis[0] /= np.sqrt(2)
    basis = basis.astype(np.float32)
    found = np.empty((len(thumbnails), _WAVES, _WAVES, 3), np.float32)
    for start in range(0, len(thumbnails), 4096):  # bounds the memory
        rows = slice(start, start + 4096)
        part = thumbnails[rows].astype(np.float32)
        part = np.tensordot(part, basis, axes=(1, 1))  # [n, x, c, u]
        found[rows] = np.tensordot(part, basis, axes=(1, 1)).transpose(0, 2, 3, 1)
    return found


def _turned(waves: np.ndarray) -> Iterator[np.ndarray]:
    """Coefficients [n, u, v, c] under each symmetry: `turn`, on frequencies."""
    odd = (-1.0) ** np.arange(_WAVES, dtype=np.float32)
    for symmetry in range(8):
        turned = waves.transpose(0, 2, 1, 3) if symmetry & 4 else waves
        if symmetry & 2:
            turned = turned * odd[:, None, None]
        if symmetry & 1:
            turned = turned * odd[:, None]
        yield turned
