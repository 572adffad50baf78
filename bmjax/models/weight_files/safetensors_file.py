"""Entries of .safetensors files, read one by one by the safetensors library."""

import contextlib
import json
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from bmjax.errors import CheckpointError
from bmjax.models.weight_files.entries import Entry, StateDicts, wrong_type

_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_DTYPES = {key: np.dtype(getattr(jnp, name)) for key, name in _TYPES.items()}


@contextlib.contextmanager
def open_safetensors(path: Path) -> Iterator[StateDicts]:
    """Open a file whose entries can be read until the context ends.

    Raises:
        CheckpointError: the file is not whole, or has numbers of an unknown type.
    """
    with _open(path) as file:
        entries = {}
        starts = _starts(path)
        for name in file.keys():  # noqa: SIM118 it is no dict
            about = file.get_slice(name)
            number_type = about.get_dtype()
            entries[name] = Entry(
                name,
                tuple(about.get_shape()),
                _TYPES.get(number_type, number_type),
                partial(_read, path, file, name, starts[name]),
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
    except (SafetensorError, OSError, MemoryError) as error:
        if unknown := re.search(r"unknown variant `(\w+)`", str(error)):
            raise wrong_type(path, _entry_of_type(path, unknown[1]), unknown[1]) from (
                None
            )
        raise _damaged(path, error) from None


def _starts(path: Path) -> dict[str, int]:
    """Where the numbers of each entry begin, in bytes; the library checked the file."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {
        name: 8 + length + about["data_offsets"][0]
        for name, about in header.items()
        if name != "__metadata__"
    }


def _read(path: Path, file: Any, name: str, start: int) -> np.ndarray:
    """Read numbers without the library, which maps the whole file into memory.

    What it has mapped stays there beside the copies: a network would take twice the
    file and more.
    """
    from safetensors import SafetensorError

    about = file.get_slice(name)
    dtype, shape = _DTYPES.get(about.get_dtype()), tuple(about.get_shape())
    try:
        if dtype is None:
            return file.get_tensor(name)
        values = np.fromfile(path, dtype, math.prod(shape), offset=start)
        return values.reshape(shape)
    except (SafetensorError, OSError, ValueError) as error:
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
