"""Copies of images, and which of them stand on both sides of a split."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.leaks.align import SIMILAR, similarities
from bmjax.data.leaks.hashes import Hashes
from bmjax.data.leaks.near import CANDIDATE, Pairs, describe_thumbnails, search, turn
from bmjax.data.splits.make_split import Split

BYTES, PIXELS, NEAR = "bytes", "pixels", "near"
PARTS = ("train", "test", "none")
_TOGETHER = 256  # pairs that a thread is given at a time


class Copy(NamedTuple):
    """Two images that are one: positions in the catalog, and how alike they are."""

    first: int
    second: int
    kind: str  # "bytes": the same file; "pixels": the same image; "near"
    similarity: float  # of the thumbnails, 1 for the same


class Audit(NamedTuple):
    """What was found.

    Attributes:
        parts: of each image, position in `PARTS`.
        copies: every near pair, and of each set of exact copies its images beside one
            of them, from the training part where it can be.
        groups: int64 [images], the number of the set of copies that an image is in.
        leaking: of each test image "exact" or "near" where the training part has such
            a copy of it, else "".
        unreadable: positions that could not be compared.
    """

    parts: np.ndarray
    copies: list[Copy]
    groups: np.ndarray
    leaking: np.ndarray
    unreadable: np.ndarray


def audit(
    catalog: Catalog,
    split: Split,
    hashes: Hashes,
    *,
    similar: float = SIMILAR,
    candidates: Iterable[Pairs] = (),
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Find exact and near copies among all images of a catalog.

    Exact copies are compared once, as one image, so that many of them cost nothing.

    Args:
        catalog: the images.
        split: which of them train and which test.
        hashes: of every image.
        similar: from which `similarity` a pair is a near copy.
        candidates: further pairs to look at, as a run's features suggest them.
        threads: 0 takes one for each core.
        progress: called with how many pairs were compared, and of how many.
    """
    parts = np.full(len(catalog), PARTS.index("none"))
    parts[split.train], parts[split.test] = 0, 1
    readable = np.flatnonzero(hashes.readable)
    # Training images first, so that one of them stands for a set of exact copies.
    readable = readable[np.argsort(parts[readable], kind="stable")]
    anchor = np.arange(len(catalog))
    anchor[readable] = _first_of_equal(hashes.pixels, readable)
    copies = [
        Copy(int(anchor[image]), image, _exact(hashes, int(anchor[image]), image), 1.0)
        for image in np.sort(readable[anchor[readable] != readable]).tolist()
    ]
    single = np.sort(readable[anchor[readable] == readable])
    near = _near(
        hashes.thumbnails, single, anchor, similar, candidates, threads, progress
    )
    copies = sorted([*copies, *near])
    return Audit(
        parts=parts,
        copies=copies,
        groups=_groups(len(catalog), copies),
        leaking=_leaking(parts, anchor, near),
        unreadable=np.flatnonzero(~hashes.readable),
    )


def straddles(audit: Audit, copy: Copy) -> bool:
    """Whether one of the two trains and the other tests."""
    return {int(audit.parts[copy.first]), int(audit.parts[copy.second])} == {0, 1}


def _first_of_equal(digests: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each image the first in this order with the same digest."""
    if not len(order):
        return order
    keys = np.ascontiguousarray(digests[order]).view("V16").ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return order[first[inverse]]


def _exact(hashes: Hashes, first: int, second: int) -> str:
    same = np.array_equal(hashes.files[first], hashes.files[second])
    return BYTES if same else PIXELS


def _near(
    thumbnails: np.ndarray,
    single: np.ndarray,
    anchor: np.ndarray,
    similar: float,
    further: Iterable[Pairs],
    threads: int,
    progress: Callable[[int, int], None],
) -> list[Copy]:
    """Near copies among images that are no exact copies of one another."""
    found: dict[tuple[int, int], float] = {}

    def look(pairs: Pairs) -> None:
        for first, second, value in confirm(thumbnails, pairs, similar, threads):
            key = (first, second)
            found[key] = max(value, found.get(key, value))

    descriptors = describe_thumbnails(thumbnails[single]) if len(single) > 1 else None
    if descriptors is not None:
        for pairs in search(
            descriptors, threshold=CANDIDATE, threads=threads, progress=progress
        ):
            look(pairs._replace(first=single[pairs.first], second=single[pairs.second]))
    for pairs in further:
        first, second = anchor[pairs.first], anchor[pairs.second]
        kept = first != second
        first, second = np.minimum(first, second), np.maximum(first, second)
        look(Pairs(first[kept], second[kept], *(part[kept] for part in pairs[2:])))
    return [Copy(*pair, NEAR, value) for pair, value in found.items()]


def confirm(
    thumbnails: np.ndarray, pairs: Pairs, similar: float, threads: int
) -> list[tuple[int, int, float]]:
    """Those of the pairs whose thumbnails agree, with how much."""

    def values(rows: slice) -> np.ndarray:
        first = thumbnails[pairs.first[rows]]
        for symmetry in range(1, 8):
            turned = pairs.symmetry[rows] == symmetry
            first[turned] = turn(first[turned], symmetry)
        return similarities(first, thumbnails[pairs.second[rows]])

    starts = range(0, len(pairs.first), _TOGETHER)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        slices = [slice(start, start + _TOGETHER) for start in starts]
        alike = np.concatenate([np.empty(0), *pool.map(values, slices)])
    kept = np.flatnonzero(alike >= similar)
    found = (pairs.first[kept], pairs.second[kept], alike[kept])
    return list(zip(*(part.tolist() for part in found), strict=True))


def _groups(count: int, copies: list[Copy]) -> np.ndarray:
    """Numbers of the connected sets of copies, in the order of their first images."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = np.array([copy.first for copy in copies], int)
    second = np.array([copy.second for copy in copies], int)
    links = coo_array((np.ones(len(copies), bool), (first, second)), (count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _leaking(parts: np.ndarray, anchor: np.ndarray, near: list[Copy]) -> np.ndarray:
    """How each test image's copy in the training part is one.

    A set of exact copies with training images has one of them as its anchor, and what
    is near one of a set is near all of it.
    """
    beside_training = np.zeros(len(parts), bool)
    for copy in near:
        for one, other in ((copy.first, copy.second), (copy.second, copy.first)):
            beside_training[one] |= parts[other] == 0
    testing = parts == 1
    found = np.full(len(parts), "", dtype="<U5")
    found[testing & beside_training[anchor]] = "near"
    found[testing & (parts[anchor] == 0)] = "exact"
    return found
