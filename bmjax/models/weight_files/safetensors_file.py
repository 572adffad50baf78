"""Entries of .safetensors files, read one by one by the safetensors library."""

import contextlib
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.errors import CheckpointError
from bmjax.models.weight_files.entries import Entry, StateDicts, wrong_type

_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@contextlib.contextmanager
def open_safetensors(path: Path) -> Iterator[StateDicts]:
    """Open a file whose entries can be read until the context ends.

    Raises:
        CheckpointError: the file is not whole, or has numbers of an unknown type.
    """
    with _open(path) as file:
        entries = {}
        for name in file.keys():  # noqa: SIM118 it is no dict
            about = file.get_slice(name)
            number_type = about.get_dtype()
            entries[name] = Entry(
                name,
                tuple(about.get_shape()),
                _TYPES.get(number_type, number_type),
                partial(_read, path, file, name),
            )
        yield {"": entries}


def safetensors_metadata(path: Path) -> dict[str, str]:
    """Return the texts that a file holds beside its entries.

    Raises:
        CheckpointError: as `open_safetensors`.
    """
    with _open(path) as file:
        return file.metadata() or {}


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        if unknown := re.search(r"unknown variant `(\w+)`", str(error)):
            raise wrong_type(path, _entry_of_type(path, unknown[1]), unknown[1]) from (
                None
            )
        raise _damaged(path, error) from None


def _read(path: Path, file: Any, name: str) -> np.ndarray:
    from safetensors import SafetensorError

    try:
        return file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{str(path)!r} is no whole .safetensors file ({error}); copy it again"
    )


def _entry_of_type(path: Path, number_type: str) -> str:
    """The first entry of a type, from a header that the library does not take."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return next(
        name for name, about in header.items() if about.get("dtype") == number_type
    )
