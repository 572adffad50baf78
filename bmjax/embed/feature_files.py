"""Files of features that are written a batch at a time: .npz, .csv and .parquet."""

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bmjax.files import plain_cell, whole_csv, whole_file, write_json

Write = Callable[[Sequence[str], Sequence[str], np.ndarray], None]


@contextlib.contextmanager
def open_feature_file(path: Path, about: dict[str, Any]) -> Iterator[Write]:
    """Open a file of features, whole at the end of the `with` or not there at all.

    Args:
        path: .npz, .csv or .parquet.
        about: metadata, anything that JSON can hold.

    Yields:
        write(paths, labels, features), for one batch; features float32 [b, F].

    Raises:
        CannotWrite: the file cannot be written.
    """
    kinds = {".npz": _open_npz, ".csv": _open_csv, ".parquet": _open_parquet}
    with kinds[path.suffix](path, about) as write:
        yield write


def describe_path(path: Path) -> Path:
    """Where a CSV's metadata is: FILE.csv.json."""
    return path.with_name(path.name + ".json")


@contextlib.contextmanager
def _open_npz(path: Path, about: dict[str, Any]) -> Iterator[Write]:
    """An archive of NumPy's, the features copied into it from a file beside it."""
    paths: list[str] = []
    labels: list[str] = []
    width = 0
    with (
        whole_file(path, option="--out") as file,
        tempfile.TemporaryFile(dir=path.parent) as raw,
    ):

        def write(
            names: Sequence[str], classes: Sequence[str], features: np.ndarray
        ) -> None:
            nonlocal width
            width = features.shape[1]
            paths.extend(names)
            labels.extend(classes)
            raw.write(np.ascontiguousarray(features, "<f4").tobytes())

        yield write
        raw.seek(0)
        small = {
            "path": np.array(paths, dtype=np.str_),
            "label": np.array(labels, dtype=np.str_),
            "metadata": np.array(json.dumps(about)),
        }
        with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
            for name, array in small.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            with archive.open("features.npy", "w", force_zip64=True) as member:
                _copy_features(member, raw, (len(paths), width))


def _copy_features(member: Any, raw: BinaryIO, shape: tuple[int, int]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    shutil.copyfileobj(raw, member, 1 << 20)


@contextlib.contextmanager
def _open_csv(path: Path, about: dict[str, Any]) -> Iterator[Write]:
    with whole_csv(path, option="--out") as writer:
        begun = False

        def write(
            names: Sequence[str], classes: Sequence[str], features: np.ndarray
        ) -> None:
            nonlocal begun
            if not begun:
                columns = (f"f{i}" for i in range(features.shape[1]))
                writer.writerow(("path", "label", *columns))
                begun = True
            for name, label, row in zip(names, classes, features, strict=True):
                # Nine digits give each float32 back as it was (IEEE 754).
                cells = (f"{value:.9g}" for value in row)
                writer.writerow((plain_cell(name), plain_cell(label), *cells))

        yield write
    write_json(describe_path(path), about)


@contextlib.contextmanager
def _open_parquet(path: Path, about: dict[str, Any]) -> Iterator[Write]:
    import pyarrow
    import pyarrow.parquet

    writer = None
    with whole_file(path, option="--out") as file, contextlib.ExitStack() as stack:

        def write(
            names: Sequence[str], classes: Sequence[str], features: np.ndarray
        ) -> None:
            nonlocal writer
            width = features.shape[1]
            flat = pyarrow.array(np.ascontiguousarray(features).ravel())
            columns = {
                "path": [_utf8(name) for name in names],
                "label": [_utf8(label) for label in classes],
                "features": pyarrow.FixedSizeListArray.from_arrays(flat, width),
            }
            table = pyarrow.table(columns).replace_schema_metadata(
                {"bmjax": json.dumps(about)}
            )
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(file, table.schema)
                stack.callback(writer.close)
            writer.write_table(table)

        yield write
        stack.close()


def _utf8(name: str) -> str:
    """A file name that is no UTF-8 with the bytes in question as escapes."""
    return name.encode("utf-8", errors="surrogateescape").decode(
        "utf-8", errors="backslashreplace"
    )
