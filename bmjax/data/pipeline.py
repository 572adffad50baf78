"""From positions to batches of pixels, by grain; memory is bounded by the prefetch."""

from collections.abc import Iterator
from typing import Any

import grain
import numpy as np

from bmjax.data.decode import decode
from bmjax.data.folder import Catalog

HostBatch = dict[str, np.ndarray]  # pixels uint8 [B, S, S, 3], labels int32 [B]


def _reader(catalog: Catalog, size: int):
    def read(position: int) -> HostBatch:
        name = str(catalog.root / catalog.paths[position])
        return {
            "pixels": decode(catalog.encoded(position), size=size, name=name),
            "labels": catalog.labels[position],
        }

    return read


def training_batches(
    catalog: Catalog,
    stream: grain.MapDataset,
    *,
    size: int,
    batch_size: int,
    first_step: int,
    threads: int,
    prefetch: int,
    process: int = 0,
    processes: int = 1,
) -> Iterator[HostBatch]:
    """Endless training batches from step `first_step` on.

    Step s takes positions s B to (s + 1) B of the stream, whatever the number of
    threads; with several processes each takes every `processes`-th of them.

    Args:
        catalog: the images.
        stream: positions in the catalog.
        size: side of the decoded images, in pixels.
        batch_size: of the whole batch, over all processes.
        first_step: where to begin.
        threads: that decode.
        prefetch: batches held ready; grain's own default of 500 would be gigabytes.
        process: this process's number.
        processes: how many there are.
    """
    share = stream[process::processes] if processes > 1 else stream
    batches = share.map(_reader(catalog, size)).batch(batch_size // processes)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    return iter(batches[first_step:].to_iter_dataset(options))


def evaluation_batches(
    catalog: Catalog,
    positions: np.ndarray,
    *,
    size: int,
    batch_size: int,
    threads: int,
    prefetch: int,
) -> Iterator[tuple[HostBatch, int]]:
    """Each image once, in order: pairs of a full batch and how many of it count.

    The last batch is filled up with copies of its last image, so that every batch has
    one shape; the filling is not counted.
    """
    padding = -len(positions) % batch_size
    padded = np.concatenate([positions, np.repeat(positions[-1:], padding)])
    source: Any = grain.MapDataset.source(padded.tolist())
    batches = source.map(_reader(catalog, size)).batch(batch_size)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    left = len(positions)
    for batch in batches.to_iter_dataset(options):
        yield batch, min(left, batch_size)
        left -= batch_size
