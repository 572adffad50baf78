"""The images of any folder: which there are, their labels, their pixels in batches."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.decode import decode, read_bytes
from bmjax.data.images.folder import SUFFIXES
from bmjax.data.images.header import read_header
from bmjax.errors import ConfigError, DataError

_AHEAD = 2  # batches that are read while one is predicted: bounds the memory


class Read(NamedTuple):
    """One batch of images that could be read, and those that could not.

    Attributes:
        paths: of the images, relative to the folder.
        pixels: uint8 [B, S, S, 3], always full: the last image fills it up.
        sizes: how many images came in each size, (width, height).
        failed: a sentence for each image that could not be read.
    """

    paths: list[str]
    pixels: np.ndarray
    sizes: Counter
    failed: list[str]


def find_images(folder: Path) -> list[str]:
    """All JPEG and PNG files below a folder, sorted, hidden ones left out.

    Raises:
        ConfigError: no such folder.
        DataError: no image in it, or a folder that cannot be read.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ConfigError(f"{str(folder)!r} {what}; give a folder of images")

    def refuse(error: OSError):
        raise DataError(
            f"{str(error.filename)!r} cannot be read: {error.strerror}; mend its "
            "permissions"
        )

    found = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(place, folder).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        found += [
            prefix + name
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise DataError(f"no JPEG or PNG image lies below {str(folder)!r}")
    return sorted(found)


def label_of(path: str, folder: Path, classes: Sequence[str]) -> str:
    """The nearest folder around an image that has a class's name, or ""."""
    around = [folder.resolve().name, *path.split("/")[:-1]]
    return next((name for name in reversed(around) if name in classes), "")


def batches(
    folder: Path, paths: Sequence[str], *, size: int, batch_size: int, threads: int
) -> Iterator[Read]:
    """Read images in order, some batches ahead of their use.

    Args:
        folder: that holds them.
        paths: relative to it.
        size: side of the decoded images, in pixels.
        batch_size: B.
        threads: that decode; 0 takes one for each core.
    """
    starts = iter(range(0, len(paths), batch_size))
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:

        def begin(start: int):
            chosen = paths[start : start + batch_size]
            return [(path, pool.submit(_read, folder / path, size)) for path in chosen]

        waiting = deque(begin(start) for start in islice(starts, _AHEAD + 1))
        try:
            while waiting:
                yield _gather(waiting.popleft(), size, batch_size)
                waiting.extend(begin(start) for start in islice(starts, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _gather(reading, size: int, batch_size: int) -> Read:
    read = Read([], np.zeros((batch_size, size, size, 3), np.uint8), Counter(), [])
    for path, future in reading:
        try:
            pixels, own_size = future.result()
        except DataError as error:
            read.failed.append(str(error))
            continue
        read.pixels[len(read.paths)] = pixels
        read.sizes[own_size] += 1
        read.paths.append(path)
    if read.paths:
        read.pixels[len(read.paths) :] = read.pixels[len(read.paths) - 1]
    return read


def _read(path: Path, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    encoded = read_bytes(path)
    pixels = decode(encoded, size=size, name=str(path))
    header = read_header(encoded)  # there is one: it was decoded
    return pixels, (header.width, header.height)
