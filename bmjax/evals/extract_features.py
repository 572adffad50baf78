"""Frozen features of a whole part of the data, kept on disk."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import jax
import numpy as np

from bmjax.devices.mesh import put_batch
from bmjax.devices.processes import is_first
from bmjax.faults import reached
from bmjax.files import writing

NO_ROWS = np.zeros((0, 0), np.float32)  # what a process has of features kept elsewhere


def extract_features(
    predict: Callable[[np.ndarray], dict[str, jax.Array]],
    batches: Iterator[tuple[dict[str, np.ndarray], int]],
    *,
    images: int,
    mesh: jax.sharding.Mesh,
    path: Path | None,
    embeddings_path: Path | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Run the network over every image once.

    Features go to a file that is then mapped, not loaded: memory stays bounded whatever
    the number of images. Of a bounded number they may stay in memory. The file has its
    name once it is whole. Of several processes each gives its part of every batch, and
    the first one keeps the results.

    Args:
        predict: pixels on the devices -> {"features" [B, F], maybe "logits" [B, N],
            maybe "embeddings" [B, D]}.
        batches: pairs of a full batch and how many of its rows count.
        images: how many rows there will be.
        mesh: the devices.
        path: of the .npy file to write; None: features stay in memory.
        embeddings_path: of another for the embeddings; not kept if not given.

    Returns:
        features, float32 [images, F], and logits, float32 [images, N] or None; NO_ROWS
        and None in all processes but the first.

    Raises:
        CannotWrite: the disk is full, or the place may not be written.
    """
    if not is_first():
        for batch, _ in batches:
            jax.block_until_ready(predict(put_batch(batch["pixels"], mesh)))
        return NO_ROWS, None
    features: _Rows | None = None
    embeddings: _Rows | None = None
    logits, start = None, 0
    with contextlib.ExitStack() as begun:
        for batch, count in batches:
            outputs = jax.device_get(predict(put_batch(batch["pixels"], mesh)))
            rows = slice(start, start + count)
            if features is None:
                width = outputs["features"].shape[-1]
                features = _rows(path, (images, width), begun)
                if embeddings_path is not None:
                    width = outputs["embeddings"].shape[-1]
                    embeddings = _rows(embeddings_path, (images, width), begun)
                if "logits" in outputs:
                    width = outputs["logits"].shape[-1]
                    logits = np.empty((images, width), np.float32)
            features.add(outputs["features"][:count])
            if embeddings is not None:
                embeddings.add(outputs["embeddings"][:count])
            if logits is not None:
                logits[rows] = outputs["logits"][:count]
            start += count
        if start != images or features is None:
            raise AssertionError(f"{start} images were seen, {images} expected")
        if embeddings is not None:
            embeddings.finish()
        return features.finish(), logits


class _Rows(Protocol):
    """Takes rows one batch after another, and gives them all."""

    def add(self, rows: np.ndarray) -> None: ...

    def finish(self) -> np.ndarray: ...


def _rows(path: Path | None, shape: tuple[int, int], begun: contextlib.ExitStack):
    if path is None:
        return _RowsInMemory(shape)
    file = _RowsInFile(path, shape)
    begun.callback(file.drop)
    return file


class _RowsInMemory:
    def __init__(self, shape: tuple[int, int]):
        self._array, self._end = np.empty(shape, np.float32), 0

    def add(self, rows: np.ndarray) -> None:
        self._array[self._end : self._end + len(rows)] = rows
        self._end += len(rows)

    def finish(self) -> np.ndarray:
        return self._array


class _RowsInFile:
    """A .npy file, written and not mapped: a full disk under a map ends the process."""

    def __init__(self, path: Path, shape: tuple[int, int]):
        self._path, self._part = path, path.with_name(path.name + ".part")
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with writing("", path):
            self._file = open(self._part, "wb")  # noqa: SIM115 see finish and drop
            np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, rows: np.ndarray) -> None:
        with writing("", self._path):
            reached("features.writing")
            self._file.write(np.ascontiguousarray(rows, "<f4"))

    def finish(self) -> np.ndarray:
        with writing("", self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
        return np.load(self._path, mmap_mode="r")

    def drop(self) -> None:
        """Leave nothing half written; of no effect once it is finished."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)
