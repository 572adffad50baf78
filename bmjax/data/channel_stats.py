"""One look at every image: which can be read, and the moments of their channels.

Counts of pixel values are whole numbers, so that the moments are the same to the last
bit whatever the number of threads.
"""

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode_whole
from bmjax.data.open_images import read_catalog
from bmjax.errors import DataError
from bmjax.files import check_place, write_json, writing

_AHEAD = 4  # images in flight for each thread: bounds the memory


class Moments(NamedTuple):
    """Mean and standard deviation of each channel, in units of white (0 to 1)."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Scan(NamedTuple):
    """What a look at every image found."""

    moments: Moments
    pixels: int
    bytes: int  # of the files that can be read
    refused: dict[int, str]  # positions that cannot be read, and why


def scan(catalog: Catalog, *, threads: int = 0) -> Scan:
    """Decode every image once, at its own size.

    Args:
        catalog: the images.
        threads: that decode; 0: one for each core.

    Raises:
        DataError: not one of the images can be read.
    """
    histogram, size, refused = np.zeros((3, 256)), 0, {}
    looks = _looks(catalog, threads or os.cpu_count() or 1)
    shown = tqdm(looks, "looking", len(catalog), unit=" images", disable=None)
    for position, found in enumerate(shown):
        if isinstance(found, str):
            refused[position] = found
        else:
            histogram += found[0]
            size += found[1]
    if len(refused) == len(catalog):
        raise DataError(f"no image can be read; the first: {refused[0]}")
    return Scan(_moments(histogram), int(histogram[0].sum()), size, refused)


def show_stats(
    root: str,
    *,
    exclude: tuple[str, ...],
    threads: int,
    out: Path | None,
) -> str:
    """Say the moments of a folder or a prepared set, as a configuration takes them.

    Raises:
        ConfigError: `out` is no place for a file.
        DataError: no images, or one that cannot be read.
    """
    if out is not None:
        check_place("--json", out)
    catalog = read_catalog(root, exclude=exclude)
    found = scan(catalog, threads=threads)
    if found.refused:
        raise DataError(
            f"{len(found.refused):,} of {len(catalog):,} images cannot be read; the "
            f"first: {next(iter(found.refused.values()))}"
        )
    if out is not None:
        with writing("--json", out):
            write_json(
                out,
                {
                    "images": len(catalog),
                    "pixels": found.pixels,
                    "fingerprint": catalog.fingerprint,
                    **found.moments._asdict(),
                },
            )
    return "\n".join(
        [
            f"{len(catalog):,} images of {len(catalog.classes)} classes, "
            f"{found.pixels:,} pixels; red, green, blue:",
            f"mean {_triple(found.moments.mean)}",
            f"std  {_triple(found.moments.std)}",
            "",
            f'--config.data.mean="{_triple(found.moments.mean)}" '
            f'--config.data.std="{_triple(found.moments.std)}"',
        ]
    )


def _triple(values: tuple[float, ...]) -> str:
    return "({})".format(", ".join(f"{value:.6f}" for value in values))


def _looks(catalog: Catalog, threads: int) -> Iterator[tuple[np.ndarray, int] | str]:
    """In order: each image's histogram [3, 256] and bytes, or why there are none."""

    def look(position: int) -> tuple[np.ndarray, int] | str:
        name = str(catalog.root / catalog.paths[position])
        try:
            encoded = catalog.encoded(position)
            pixels = decode_whole(encoded, name=name)
        except DataError as error:
            return str(error)
        histogram = np.stack([_histogram(pixels, channel) for channel in range(3)])
        return histogram, encoded.size

    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        positions = iter(range(len(catalog)))
        try:
            for position in itertools.islice(positions, threads * _AHEAD):
                waiting.append(pool.submit(look, position))
            while waiting:
                yield waiting.popleft().result()
                for position in itertools.islice(positions, 1):
                    waiting.append(pool.submit(look, position))
        finally:
            pool.shutdown(cancel_futures=True)


def _histogram(pixels: np.ndarray, channel: int) -> np.ndarray:
    return cv2.calcHist([pixels], [channel], None, [256], [0, 256]).reshape(-1)


def _moments(histogram: np.ndarray) -> Moments:
    """From counts of each value, float64 [3, 256]."""
    values = np.arange(256) / 255
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))
    return Moments(tuple(mean.tolist()), tuple(std.tolist()))
