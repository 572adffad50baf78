"""Files with the same bytes and files with the same picture, in groups."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DIGEST = 16  # bytes


class Group(NamedTuple):
    """Files that are one picture.

    Attributes:
        kind: as in `kinds.FINDING_KINDS`.
        members: positions, ascending.
    """

    kind: str
    members: tuple[int, ...]


def find_duplicates(
    bytes_digests: Sequence[bytes | None],
    pixels_digests: Sequence[bytes | None],
    labels: Sequence[str],
) -> list[Group]:
    """Group files by their bytes and by their pixels, largest group first.

    Of files with the same pixels a group is made only where their bytes differ; files
    in folders of two classes are a kind of their own.

    Args:
        bytes_digests: of each file; None: not to be compared.
        pixels_digests: of each file's picture; None likewise.
        labels: the class folder of each file.
    """
    label = np.unique(np.asarray(labels, dtype=object), return_inverse=True)[1]
    of_bytes = _numbers(bytes_digests)
    groups = []
    for members in _same(of_bytes):
        kind = _kind("same_bytes", label[members])
        groups.append(Group(kind, tuple(members.tolist())))
    for members in _same(_numbers(pixels_digests)):
        if len(np.unique(of_bytes[members])) > 1:
            kind = _kind("same_pixels", label[members])
            groups.append(Group(kind, tuple(members.tolist())))
    return sorted(groups, key=lambda group: (-len(group.members), group.members[0]))


def _kind(same: str, labels: np.ndarray) -> str:
    return same if (labels == labels[0]).all() else "same_picture_two_classes"


def _numbers(digests: Sequence[bytes | None]) -> np.ndarray:
    """A number for each file, equal where the digests are; -1 for None."""
    known = np.array([digest is not None for digest in digests], dtype=bool)
    numbers = np.full(len(digests), -1)
    if known.any():
        # As numbers, since NumPy's byte strings lose the zeros at their end.
        joined = b"".join(digest for digest in digests if digest is not None)
        words = np.frombuffer(joined, np.dtype([("a", "<u8"), ("b", "<u8")]))
        numbers[known] = np.unique(words, return_inverse=True)[1]
    return numbers


def _same(numbers: np.ndarray) -> list[np.ndarray]:
    """Positions of each number that occurs more than once."""
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    runs = np.split(order, starts)
    return [run for run in runs if len(run) > 1 and numbers[run[0]] >= 0]
