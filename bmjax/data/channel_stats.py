"""One look at every image: which can be read, and the moments of their channels.

Counts of pixel values are whole numbers, so that the moments are the same to the last
bit whatever the number of threads.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from bmjax.console.progress import tracked
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode_whole
from bmjax.data.images.read_bounded import read_bounded
from bmjax.data.open_images import read_catalog
from bmjax.errors import DataError
from bmjax.files import check_place, write_json, writing

_CHANNELS = ("red", "green", "blue")


class Moments(NamedTuple):
    """Mean and standard deviation of each channel, in units of white (0 to 1)."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class ImageScan(NamedTuple):
    """What a look at every image found."""

    moments: Moments
    pixels: int
    bytes: int  # of the files that can be read
    refused: dict[int, str]  # positions that cannot be read, and why


def scan_images(catalog: Catalog, *, threads: int = 0) -> ImageScan:
    """Decode every image once, at its own size.

    Args:
        catalog: the images.
        threads: that decode; 0: one for each core.

    Raises:
        DataError: not one of the images can be read.
    """
    histogram, size, refused = np.zeros((3, 256)), 0, {}
    histograms = read_bounded(
        partial(_read_histogram, catalog), range(len(catalog)), threads=threads
    )
    shown = tracked(histograms, "images looked at", len(catalog))
    for position, found in enumerate(shown):
        if isinstance(found, str):
            refused[position] = found
        else:
            histogram += found[0]
            size += found[1]
    if len(refused) == len(catalog):
        raise DataError(f"no image can be read; the first: {refused[0]}")
    return ImageScan(moments_of(histogram), int(histogram[0].sum()), size, refused)


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
    found = scan_images(catalog, threads=threads)
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
            *_as_keys(found.moments),
        ]
    )


def _as_keys(moments: Moments) -> list[str]:
    """The moments as keys of a command, or why they cannot be given as such."""
    constant = [
        f"{name} ({mean:.6f})"
        for name, mean, std in zip(_CHANNELS, *moments, strict=True)
        if round(std, 6) == 0
    ]
    if constant:
        return [
            f"note: {', '.join(constant)} is constant: every pixel of every image "
            "has the same value there, so that this channel tells nothing and cannot "
            "be divided by its deviation; look at the images, or give config.data.std "
            "a number above 0 for it"
        ]
    return [
        f'--config.data.mean="{_triple(moments.mean)}" '
        f'--config.data.std="{_triple(moments.std)}"'
    ]


def _triple(values: tuple[float, ...]) -> str:
    return "({})".format(", ".join(f"{value:.6f}" for value in values))


def _read_histogram(catalog: Catalog, position: int) -> tuple[np.ndarray, int] | str:
    """An image's histogram [3, 256] and bytes, or why there are none."""
    name = str(catalog.root / catalog.paths[position])
    try:
        encoded = catalog.encoded(position)
        pixels = decode_whole(encoded, name=name)
    except DataError as error:
        return str(error)
    return channel_histograms(pixels), encoded.size


def channel_histograms(pixels: np.ndarray) -> np.ndarray:
    """Counts of each value, [3, 256], of pixels uint8 [H, W, 3]."""
    return np.stack(
        [
            cv2.calcHist([pixels], [channel], None, [256], [0, 256]).reshape(-1)
            for channel in range(3)
        ]
    )


def moments_of(histogram: np.ndarray) -> Moments:
    """The moments of counts of each value, float64 [3, 256]."""
    values = np.arange(256) / 255
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))
    return Moments(tuple(mean.tolist()), tuple(std.tolist()))
