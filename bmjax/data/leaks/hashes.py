"""What tells copies of an image: digests of its bytes and pixels, and a thumbnail."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode_whole
from bmjax.data.images.read_bounded import read_bounded
from bmjax.errors import DataError
from bmjax.files import write_whole

THUMBNAIL = 32  # pixels; a cell's outline and nucleus are clear, noise is not
_DIGEST = 16  # bytes; two of 171,374 images agree by chance once in 1e28
_TOGETHER = 256  # images a thread is given at a time


class Hashes(NamedTuple):
    """One row for each image of a catalog; rows of unreadable images are zero."""

    readable: np.ndarray  # bool [n]
    files: np.ndarray  # uint8 [n, 16], digest of the file
    pixels: np.ndarray  # uint8 [n, 16], digest of the decoded image
    thumbnails: np.ndarray  # uint8 [n, 32, 32, 3], area averages


def hash_images(
    catalog: Catalog,
    *,
    threads: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Hashes:
    """Read and decode every image once.

    An image that cannot be read is marked, not raised: the audit names it and goes on.

    Args:
        catalog: the images.
        threads: that decode; 0 takes one for each core.
        progress: called with how many are done, and of how many.
    """
    count = len(catalog)
    found = empty_hashes(count)
    starts = range(0, count, _TOGETHER)
    progress(0, count)
    filled = read_bounded(partial(_fill, catalog, found), starts, threads=threads)
    for start, _ in zip(starts, filled, strict=True):
        progress(min(start + _TOGETHER, count), count)
    return found


def empty_hashes(count: int) -> Hashes:
    """Hashes of as many images, none of them read yet."""
    return Hashes(
        readable=np.zeros(count, bool),
        files=np.zeros((count, _DIGEST), np.uint8),
        pixels=np.zeros((count, _DIGEST), np.uint8),
        thumbnails=np.zeros((count, THUMBNAIL, THUMBNAIL, 3), np.uint8),
    )


def write_hashes(path: Path, hashes: Hashes, fingerprint: str) -> None:
    """Keep hashes in a .npz file, for the images of this fingerprint alone."""
    content = io.BytesIO()
    np.savez(content, fingerprint=np.array(fingerprint), **hashes._asdict())
    write_whole(path, content.getvalue())


def read_hashes(path: Path, fingerprint: str) -> Hashes | None:
    """Hashes that were kept, or None where there are none or of other images.

    Raises:
        DataError: the file is there and is none of ours.
    """
    if not path.exists():
        return None
    try:
        with np.load(path) as kept:
            if str(kept["fingerprint"]) != fingerprint:
                return None
            return Hashes(**{name: kept[name] for name in Hashes._fields})
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{str(path)!r} is no file of hashes ({error}); remove it or give another "
            "name"
        ) from None


def _fill(catalog: Catalog, found: Hashes, start: int) -> None:
    for position in range(start, min(start + _TOGETHER, len(catalog))):
        try:
            encoded = catalog.encoded(position)
            # At its own size: copies are equal before they are resized.
            pixels = decode_whole(encoded, name=catalog.paths[position])
        except DataError:
            continue
        found.files[position] = _digest(encoded.tobytes())
        shape = np.array(pixels.shape, np.int64).tobytes()
        found.pixels[position] = _digest(shape + pixels.tobytes())
        found.thumbnails[position] = thumbnail(pixels)
        found.readable[position] = True


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Area averages of an image, uint8 [h, w, 3] -> uint8 [32, 32, 3]."""
    size = (THUMBNAIL, THUMBNAIL)
    shrinks = min(pixels.shape[:2]) >= THUMBNAIL
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, size, interpolation=how)


def _digest(content: bytes) -> np.ndarray:
    return np.frombuffer(
        hashlib.blake2b(content, digest_size=_DIGEST).digest(), np.uint8
    )
