"""An entry of a file of weights, known by name, shape and type before it is read."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from bmjax.errors import CheckpointError

FLOATS = ("float64", "float32", "float16", "bfloat16")


class Entry(NamedTuple):
    """One array of a file; its numbers stay in the file until `read` is called."""

    name: str  # in the file, with all its prefixes
    shape: tuple[int, ...]
    type: str  # of its numbers: one of `FLOATS`, or what the file calls it
    read: Callable[[], np.ndarray]


# Of one file: each dict of tensors by the keys that lead to it, joined by dots; "" for
# one that is the file itself.
StateDicts = dict[str, dict[str, Entry]]


def wrong_type(path: object, entry: str, number_type: str) -> CheckpointError:
    """The error for numbers that are a rounding or a code of the weights."""
    return CheckpointError(
        f"{str(path)!r} holds {entry!r} in numbers of type {number_type}, expected "
        f"{', '.join(FLOATS[:-1])} or {FLOATS[-1]}; save the network before it is "
        "quantized, as model.float().state_dict()"
    )


def kept_type(entry: Entry) -> type:
    """Of an entry's numbers once they are read: float32, or float64 left as it is.

    float64 is left where jax has it enabled (jax_enable_x64) and the file holds it.
    """
    if entry.type != "float64":
        return np.float32
    return jax.dtypes.canonicalize_dtype(np.float64).type


def read_floats(path: object, entry: Entry) -> np.ndarray:
    """Read an entry; float16 and bfloat16 become float32, which holds them exactly.

    Args:
        path: of its file, for the errors.
        entry: to be read.

    Returns:
        of the entry's shape and `kept_type`.

    Raises:
        CheckpointError: its numbers are of another type than `FLOATS`, or are infinite
            or not a number; or the file is damaged.
    """
    if entry.type not in FLOATS:
        raise wrong_type(path, entry.name, entry.type)
    with np.errstate(over="ignore"):  # of float64, and found below
        values = entry.read().astype(kept_type(entry), copy=False)
    if not np.isfinite(values).all():
        raise CheckpointError(
            f"{str(path)!r} has values in {entry.name!r} that are no finite "
            f"{values.dtype} numbers; take an earlier file of that training"
        )
    return values
