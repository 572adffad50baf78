"""An ordered list of images with labels and a fingerprint."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bmjax.data.images.decode import read_bytes


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
    """

    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    sizes: np.ndarray | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.paths)

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
