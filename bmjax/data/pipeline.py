"""From positions to batches of pixels, by grain; memory is bounded by the prefetch."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import grain
import numpy as np

from bmjax.console.signals import ignore_signals
from bmjax.console.worker_process import end_with_parent
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode, decode_whole
from bmjax.data.shared_memory import check_shared_memory
from bmjax.errors import DataError

HostBatch = dict[str, np.ndarray]  # pixels uint8 [B, S, S, 3], labels int32 [B]


class Replaced:
    """Which images could not be read, and how many may be."""

    def __init__(self, *, limit: int, say: Callable[[str], None] = lambda text: None):
        """Take the number of images that may be unreadable; `say` hears of each."""
        self.positions: set[int] = set()
        self.limit, self._say = limit, say

    def note(self, catalog: Catalog, positions: np.ndarray) -> None:
        """Count images that were replaced.

        Raises:
            DataError: there are more than may be.
        """
        for position in sorted({int(p) for p in positions} - self.positions):
            self.positions.add(position)
            why = _why_unreadable(catalog, position)
            if len(self.positions) > self.limit:
                raise DataError(
                    f"{why}; with it {len(self.positions)} training image(s) cannot be "
                    f"read, and config.data.bad_share allows {self.limit}: "
                    f"{catalog.cure}"
                )
            self._say(f"note: {why}; another of its class takes its place")


def _why_unreadable(catalog: Catalog, position: int) -> str:
    """What the reader said of an image that it could not read."""
    name = str(catalog.root / catalog.paths[position])
    try:
        decode_whole(catalog.encoded(position), name=name)
    except DataError as error:
        return str(error)
    return f"image {name!r} could not be read a moment ago"


def training_batches(
    catalog: Catalog,
    stream: grain.MapDataset,
    *,
    size: int,
    batch_size: int,
    first_step: int,
    threads: int,
    prefetch: int,
    workers: int = 0,
    process: int = 0,
    processes: int = 1,
    stand_ins: np.ndarray | None = None,
    replaced: Replaced | None = None,
    resize: str = "area",
) -> Iterator[HostBatch]:
    """Endless training batches from step `first_step` on.

    Step s takes positions s B to (s + 1) B of the stream, whatever the number of
    threads and workers; with several processes each takes an equal part of them, the
    first part process 0.

    Args:
        catalog: the images.
        stream: positions in the catalog.
        size: side of the decoded images, in pixels.
        batch_size: of the whole batch, over all processes.
        first_step: where to begin.
        threads: that decode, in each worker.
        prefetch: batches held ready, in each worker; grain's own default of 500 would
            be gigabytes.
        workers: processes that decode for this one; 0 decodes in its threads.
        process: this process's number.
        processes: how many there are.
        stand_ins: of `next_of_class`: unreadable images are replaced; None: they raise.
        replaced: counts those that were.
        resize: the kernel, one of `resize.RESIZES`.

    Raises:
        ConfigError: the workers' batches do not fit the shared memory.
        DataError: from the iterator, an image that cannot be read, or too many.
    """
    check_shared_memory(workers=workers, batch_size=batch_size // processes, size=size)
    reader = _Read(catalog, size, resize, stand_ins)
    batches = stream.map(reader).batch(batch_size // processes)
    if processes > 1:
        batches = batches[process::processes]
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    dataset = batches[first_step:].to_iter_dataset(options)
    if workers:
        dataset = _in_workers(dataset, workers)
    return _checked(iter(dataset), catalog, replaced, workers=workers)


def next_of_class(positions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Who stands in for whom: the next training image of the same class, in a ring.

    Args:
        positions: int64 [n], the training part, sorted.
        labels: int [images], of the whole catalog.

    Returns:
        int64 [images]; -1 for images that do not train.
    """
    ring = np.full(len(labels), -1)
    for label in np.unique(labels[positions]):
        members = positions[labels[positions] == label]
        ring[members] = np.roll(members, -1)
    return ring


def evaluation_batches(
    catalog: Catalog,
    positions: np.ndarray,
    *,
    size: int,
    batch_size: int,
    threads: int,
    prefetch: int,
    process: int = 0,
    processes: int = 1,
    stand_ins: np.ndarray | None = None,
    replaced: Replaced | None = None,
    resize: str = "area",
) -> Iterator[tuple[HostBatch, int]]:
    """Each image once, in order: pairs of a full batch and how many of it count.

    The last batch is filled up with copies of its last image, so that every batch has
    one shape; the filling is not counted. `stand_ins` and `replaced` are for training
    images alone: no test image is ever replaced. Of several processes each gets its
    part of every batch, the first part process 0, and how many of the whole one count.
    """
    padding = -len(positions) % batch_size
    padded = np.concatenate([positions, np.repeat(positions[-1:], padding)])
    own = padded.reshape(-1, processes, batch_size // processes)[:, process].ravel()
    source: Any = grain.MapDataset.source(own.tolist())
    reader = _Read(catalog, size, resize, stand_ins)
    batches = source.map(reader).batch(batch_size // processes)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    left = len(positions)
    for batch in _checked(iter(batches.to_iter_dataset(options)), catalog, replaced):
        yield batch, min(left, batch_size)
        left -= batch_size


class _Read:
    """From a position to its pixels and label, and itself where it was replaced.

    A class, so that a worker process receives it by its name.
    """

    def __init__(
        self, catalog: Catalog, size: int, resize: str, stand_ins: np.ndarray | None
    ):
        self.catalog, self.stand_ins = catalog, stand_ins
        self.size, self.resize = size, resize

    def __call__(self, position: int) -> dict[str, Any]:
        try:
            pixels, bad = self.pixels(position), -1
        except DataError:
            if self.stand_ins is None:
                raise
            pixels, bad = self.stand_in(position), position
        label = self.catalog.labels[position]
        return {"pixels": pixels, "labels": label, "bad": bad}

    def pixels(self, position: int) -> np.ndarray:
        name = str(self.catalog.root / self.catalog.paths[position])
        encoded = self.catalog.encoded(position)
        return decode(encoded, size=self.size, resize=self.resize, name=name)

    def stand_in(self, position: int) -> np.ndarray:
        """Pixels of the nearest image after this one, in its ring, that can be read."""
        other = int(self.stand_ins[position])
        while other not in (position, -1):
            try:
                return self.pixels(other)
            except DataError:
                other = int(self.stand_ins[other])
        return self.pixels(position)  # none: its own error


def _checked(
    batches: grain.DatasetIterator,
    catalog: Catalog,
    replaced: Replaced | None,
    *,
    workers: int = 0,
) -> Iterator[HostBatch]:
    """Count what was replaced, and leave no thread or process behind.

    Raises:
        DataError: too many were replaced, or a worker process has ended.
    """
    try:
        for batch in _from_workers(batches) if workers else batches:
            bad = batch.pop("bad")
            if replaced and (bad >= 0).any():
                replaced.note(catalog, bad[bad >= 0])
            yield batch
    finally:
        batches.close()


def _from_workers(batches: grain.DatasetIterator) -> Iterator[dict[str, np.ndarray]]:
    try:
        for batch in batches:
            # A worker's shared memory goes with the next batch.
            yield {name: np.array(array) for name, array in batch.items()}
    except RuntimeError as error:
        if "Worker process" not in str(error):
            raise
        raise DataError(
            "a worker process of the input was ended from outside, perhaps for want "
            "of memory or of shared memory (/dev/shm); lower config.data.workers or "
            "config.data.prefetch, and give the same command again: it goes on from "
            "the last checkpoint"
        ) from None


def _in_workers(dataset: grain.IterDataset, workers: int) -> grain.IterDataset:
    from absl import flags

    if not flags.FLAGS.is_parsed():  # grain asks; a notebook has no command line
        flags.FLAGS.mark_as_parsed()
    options = grain.MultiprocessingOptions(
        num_workers=workers, per_worker_buffer_size=1
    )
    return dataset.mp_prefetch(options, worker_init_fn=_only_decode)


def _only_decode(index: int, count: int) -> None:
    """A worker has no business with a GPU's memory, nor with signals.

    It ends with the run, which saves its state when a signal comes.
    """
    del index, count
    end_with_parent()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    ignore_signals()
