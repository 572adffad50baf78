"""An ordered list of images with labels and a fingerprint."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from bmjax.data.images.decode import read_bytes
from bmjax.errors import DataError


@dataclass(frozen=True)
class Catalog:
    """Which images there are, in one order for good.

    Attributes:
        root: folder that holds the class folders.
        paths: of each image, relative to the root, sorted, "/" between the parts.
        labels: int32 [number of images], positions in `classes`.
        classes: names of the class folders, sorted.
        fingerprint: digest of every path and size in bytes; another folder, another
            fingerprint.
        notes: sentences on what lies in the folder and was passed over.
        sizes: int64 [number of images], of the files in bytes; None where there are no
            files.
        filed: int32 [number of images], the labels that the folders give, where a file
            corrected some (`data.label_corrections`); None: those of `labels`.
        left_out: int64, sorted, positions of images that a correction leaves out of
            every part of a split.
        corrections: digest of the corrections; "" without.
        cure: for sentences, what to do about images that cannot be read.
    """

    cure: ClassVar[str] = (
        "run python -m bmjax.data verify, and replace or remove what it names"
    )

    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    sizes: np.ndarray | None = field(default=None, kw_only=True)
    filed: np.ndarray | None = field(default=None, kw_only=True)
    left_out: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64), kw_only=True
    )
    corrections: str = field(default="", kw_only=True)

    def __post_init__(self):
        """Refuse a label without a class: a one-hot target of it is zeros, no error."""
        wrong = (self.labels < 0) | (self.labels >= len(self.classes))
        if len(self.labels) != len(self.paths) or wrong.any():
            found = int(self.labels[wrong][0]) if wrong.any() else "too few or many"
            raise DataError(
                f"the labels of the images of {str(self.root)!r} ({found}) are not "
                f"one for each of {len(self.paths)}, from 0 to {len(self.classes) - 1};"
                f" {self.cure}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def split_labels(self) -> np.ndarray:
        """What splits go by: a correction moves no image to another part."""
        return self.labels if self.filed is None else self.filed

    def encoded(self, position: int) -> np.ndarray:
        """The file of one image as it is, uint8 [bytes].

        Raises:
            DataError: the file cannot be read.
        """
        return read_bytes(self.root / self.paths[position])


def fingerprint(paths: Iterable[str], sizes: Iterable[int]) -> str:
    """SHA-256 of every path and size in bytes, in their order."""
    digest = hashlib.sha256()
    for path, size in zip(paths, sizes, strict=True):
        digest.update(os.fsencode(path) + b"\0" + str(size).encode() + b"\n")
    return digest.hexdigest()
