"""Encoded images to pixels in full batches, some of them ahead of their use."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from bmjax.data.images.decode import decode
from bmjax.data.images.header import read_header
from bmjax.data.images.read_bounded import read_bounded
from bmjax.errors import DataError

_AHEAD = 3  # batches that are read or wait: bounds the memory


class ReadBatch(NamedTuple):
    """One batch of images that could be read, and those that could not.

    Attributes:
        positions: of the images in `pixels`.
        pixels: uint8 [B, S, S, 3], always full: the last image fills it up.
        sizes: how many images came in each size, (width, height).
        failed: a sentence for each image that could not be read.
    """

    positions: list[int]
    pixels: np.ndarray
    sizes: Counter[tuple[int, int]]
    failed: list[str]


def read_batches(
    names: Sequence[str],
    encoded: Callable[[int], np.ndarray],
    *,
    size: int,
    batch_size: int,
    threads: int,
    resize: str = "area",
) -> Iterator[ReadBatch]:
    """Read images in order, some batches ahead of their use.

    Args:
        names: of the images, for errors.
        encoded: position -> the file as it is, uint8 [bytes]; may raise DataError.
        size: side S of the decoded images, in pixels.
        batch_size: B.
        threads: that read and decode; 0 takes one for each core.
        resize: the kernel, one of `resize.RESIZES`.
    """

    def read(position: int) -> tuple[int, np.ndarray | None, tuple[int, int] | str]:
        try:
            content = encoded(position)
            pixels = decode(content, size=size, resize=resize, name=names[position])
        except DataError as error:
            return position, None, str(error)
        header = read_header(content)
        assert header is not None  # it was decoded
        return position, pixels, (header.width, header.height)

    results = read_bounded(
        read, range(len(names)), threads=threads, ahead=_AHEAD * batch_size
    )
    while chosen := list(islice(results, batch_size)):
        filled = np.zeros((batch_size, size, size, 3), np.uint8)
        batch = ReadBatch([], filled, Counter(), [])
        for position, pixels, own_size in chosen:
            if pixels is None:
                batch.failed.append(own_size)
                continue
            filled[len(batch.positions)] = pixels
            batch.sizes[own_size] += 1
            batch.positions.append(position)
        if batch.positions:
            filled[len(batch.positions) :] = filled[len(batch.positions) - 1]
        yield batch
