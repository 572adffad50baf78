"""Which images a network has been trained on: a record of each, eight bytes long.

An image is known by its class, its file's name and its size in bytes: without reading
it, and whatever other images lie beside it. Folders between the class and the file make
no difference.
"""

import base64
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog

# Ours. Of images that have a class and a name in common, the same data agree in size
# (all but those that were mended since), and other data by chance (a few in a hundred).
_SAME_DATA = 0.5


class Seen(NamedTuple):
    """What a network has been trained on, as far as it is known.

    Attributes:
        images: uint64 [number of images], sorted; `image_hashes` of each.
        unknown: weights that it, or what it started from, began with, and of which
            nobody knows what they were trained on.
    """

    images: np.ndarray
    unknown: tuple[str, ...] = ()

    def joined(self, other: "Seen") -> "Seen":
        """What either of them has seen."""
        return Seen(
            np.union1d(self.images, other.images),
            tuple(dict.fromkeys((*self.unknown, *other.unknown))),
        )

    def as_json(self) -> dict[str, Any]:
        """A record that JSON takes: base64 of little-endian uint64."""
        content = self.images.astype("<u8").tobytes()
        return {
            "images": base64.b64encode(content).decode(),
            "unknown": list(self.unknown),
        }


def seen_from_json(record: dict[str, Any]) -> Seen:
    """What `Seen.as_json` was called on."""
    content = base64.b64decode(record["images"])
    images = np.frombuffer(content, "<u8").astype(np.uint64)
    return Seen(images, tuple(record["unknown"]))


def record_images(catalog: Catalog, positions: np.ndarray) -> Seen:
    """A record of some images of a catalog."""
    return Seen(np.unique(catalog_hashes(catalog, positions)))


def catalog_hashes(catalog: Catalog, positions: np.ndarray) -> np.ndarray:
    """`image_hashes` of some images of a catalog, in their order; none is read."""
    paths = [catalog.paths[position] for position in positions]
    if catalog.sizes is None:
        return image_hashes(paths, [0] * len(paths))
    return image_hashes(paths, catalog.sizes[positions].tolist())


def image_hashes(paths: Sequence[str], sizes: Iterable[int]) -> np.ndarray:
    """Uint64 [n]: 32 bits of class and file name, then 32 of these and the size.

    Args:
        paths: CLASS/.../name of each.
        sizes: of the files, in bytes.
    """
    hashes = []
    for path, size in zip(paths, sizes, strict=True):
        parts = unicodedata.normalize("NFC", path).split("/")
        name = os.fsencode(f"{parts[0]}/{parts[-1]}")
        sized = name + b"\0%d" % size
        hashes.append(_half(name) + _half(sized))
    return np.frombuffer(b"".join(hashes), ">u8").astype(np.uint64)


def shared_images(seen: Seen, hashes: np.ndarray) -> np.ndarray:
    """Which images have been seen: positions in `hashes`.

    None, where more of those with a class and name in common differ in size than not:
    then other images bear the same names, and a few sizes agree by chance.
    """
    shared = np.flatnonzero(np.isin(hashes, seen.images))
    named = np.isin(hashes >> np.uint64(32), seen.images >> np.uint64(32)).sum()
    return shared if len(shared) >= _SAME_DATA * named else shared[:0]


def _half(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=4).digest()
