"""Read a prepared set: its index, its shards, its images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bmjax.data.images.catalog import Catalog, fingerprint
from bmjax.data.images.folder import kept_classes
from bmjax.errors import DataError, first_line
from bmjax.files import read_json

INDEX = "bmjax_index.json"  # what makes a folder a prepared set; written last
INDEX_FORMAT = 1  # of the index
_MOST_INDEX = 2**30  # bytes of an index that are read; ours
_CURE = "restore it, or remove the set's folder and prepare it again"


@dataclass(frozen=True)
class PreparedCatalog(Catalog):
    """A catalog whose files lie in the records of a prepared set.

    Threads may share it, and a worker process may receive it: what reads the records is
    opened at the first of them.

    Attributes:
        shards: files of records below the root, and how many records each holds.
        places: int64 [number of images, 3]: the record of each image, where in it the
            image's file begins, and its size in bytes.
    """

    cure: ClassVar[str] = _CURE
    shards: tuple[tuple[str, int], ...]
    places: np.ndarray

    def encoded(self, position: int) -> np.ndarray:
        """The file of one image as it was, uint8 [bytes].

        Raises:
            DataError: the record cannot be read.
        """
        record, start, size = self.places[position].tolist()
        try:
            content = self._records[record]
            return np.frombuffer(content, np.uint8, count=size, offset=start)
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise DataError(
                f"image {self.paths[position]!r} cannot be read from the prepared set "
                f"{str(self.root)!r} ({first_line(error)}); {_CURE}"
            ) from None

    @cached_property
    def _records(self):
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        return ArrayRecordDataSource(
            [_Shard(os.fspath(self.root / name), 0, n, n) for name, n in self.shards]
        )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_records"}


@dataclass(frozen=True)
class _Shard:
    """What an ArrayRecordDataSource asks of a file, so that it need not open it."""

    filename: str
    skip: int
    take: int
    examples_in_shard: int


def is_prepared(root: Path) -> bool:
    """Whether a folder is a prepared set, whole or not."""
    # Not Path.is_file, which raises where a folder may not be read.
    return any(os.path.isfile(root / name) for name in (INDEX, "dataset_info.json"))


def read_prepared(root: Path, *, exclude: Sequence[str] = ()) -> PreparedCatalog:
    """Read the index of a prepared set and check that its shards are there, whole.

    Raises:
        DataError: they are not, or the index is damaged.
    """
    index = read_index(root)
    for shard in index["shards"]:
        _check_shard(root, shard)
    classes = list(dict.fromkeys(_class(path) for path, _, _ in index["images"]))
    kept = {
        name: label
        for label, name in enumerate(kept_classes(classes, exclude, root=root))
    }
    rows = [
        (record, *row)
        for record, row in enumerate(index["images"])
        if _class(row[0]) in kept
    ]
    if not rows:
        raise DataError(f"every class of {str(root)!r} is excluded; leave one in")
    paths = tuple(path for _, path, _, _ in rows)
    return PreparedCatalog(
        root=root,
        paths=paths,
        labels=np.array([kept[_class(path)] for path in paths], np.int32),
        classes=tuple(kept),
        fingerprint=fingerprint(paths, (size for _, _, size, _ in rows)),
        notes=tuple(index.get("notes", ())),
        sizes=np.array([size for _, _, size, _ in rows]),
        shards=tuple((shard["file"], shard["images"]) for shard in index["shards"]),
        places=np.array([(record, start, size) for record, _, size, start in rows]),
    )


def read_index(root: Path) -> dict[str, Any]:
    """Read and check a prepared set's index, `INDEX`.

    Returns:
        fingerprint and source (its own, and of the folder that it was made from),
        shards (file, bytes, images), images (path, bytes, start), refused, moments,
        and notes on what lay in the folder and was passed over (not in older sets).

    Raises:
        DataError: it is missing, damaged, or of another version.
    """
    file = root / INDEX
    try:
        index = read_json(file, most=_MOST_INDEX)
        version, whole = index["format"], _is_whole(index)
    except OSError as error:
        raise DataError(
            f"{str(root)!r} looks like a prepared set, but its {INDEX} cannot be read "
            f"({error.strerror}); {_CURE}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        version, whole = INDEX_FORMAT, False
    if version != INDEX_FORMAT:
        raise DataError(
            f"{str(file)!r} has format {version!r}, this version reads {INDEX_FORMAT}; "
            f"{_CURE}"
        )
    if not whole:
        raise DataError(
            f"{str(file)!r} is damaged: it does not agree with its own fingerprint; "
            f"{_CURE}"
        )
    return index


def _is_whole(index: dict[str, Any]) -> bool:
    paths, sizes, _ = zip(*index["images"], strict=True)
    names = [shard["file"] for shard in index["shards"]]
    return (
        index["fingerprint"] == fingerprint(paths, sizes)
        and len(paths) == sum(shard["images"] for shard in index["shards"])
        and all(Path(name).name == name for name in names)
    )


def _check_shard(root: Path, shard: dict[str, Any]) -> None:
    file = root / shard["file"]
    try:
        size = file.stat().st_size
    except OSError as error:
        raise DataError(
            f"shard {str(file)!r} of the prepared set cannot be read: "
            f"{error.strerror}; {_CURE}"
        ) from None
    if size != shard["bytes"]:
        raise DataError(
            f"shard {str(file)!r} of the prepared set has {size:,} bytes, expected "
            f"{shard['bytes']:,}; {_CURE}"
        )


def _class(path: str) -> str:
    return path.partition("/")[0]
