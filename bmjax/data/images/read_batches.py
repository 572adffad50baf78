"""Encoded images to pixels in full batches, some of them ahead of their use."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np

from bmjax.data.images.decode import decode
from bmjax.data.images.header import read_header
from bmjax.errors import DataError

_AHEAD = 2  # batches that are read while one is used: bounds the memory


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
) -> Iterator[ReadBatch]:
    """Read images in order, some batches ahead of their use.

    Args:
        names: of the images, for errors.
        encoded: position -> the file as it is, uint8 [bytes]; may raise DataError.
        size: side S of the decoded images, in pixels.
        batch_size: B.
        threads: that read and decode; 0 takes one for each core.
    """
    starts = iter(range(0, len(names), batch_size))

    def read(position: int) -> tuple[np.ndarray, tuple[int, int]]:
        content = encoded(position)
        pixels = decode(content, size=size, name=names[position])
        header = read_header(content)
        assert header is not None  # it was decoded
        return pixels, (header.width, header.height)

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:

        def begin(start: int):
            chosen = range(start, min(start + batch_size, len(names)))
            return [(position, pool.submit(read, position)) for position in chosen]

        waiting = deque(begin(start) for start in islice(starts, _AHEAD + 1))
        try:
            while waiting:
                yield _gather(waiting.popleft(), size, batch_size)
                waiting.extend(begin(start) for start in islice(starts, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _gather(reading, size: int, batch_size: int) -> ReadBatch:
    pixels = np.zeros((batch_size, size, size, 3), np.uint8)
    batch = ReadBatch([], pixels, Counter(), [])
    for position, future in reading:
        try:
            image, own_size = future.result()
        except DataError as error:
            batch.failed.append(str(error))
            continue
        pixels[len(batch.positions)] = image
        batch.sizes[own_size] += 1
        batch.positions.append(position)
    if batch.positions:
        pixels[len(batch.positions) :] = pixels[len(batch.positions) - 1]
    return batch
