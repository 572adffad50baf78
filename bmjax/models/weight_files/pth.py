"""Entries of torch's .pth files, in its zip archive and in its older stream."""

import contextlib
import io
import math
import pickle
import struct
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.errors import CheckpointError
from bmjax.files import describe_os_error
from bmjax.models.weight_files.entries import FLOATS, Entry, StateDicts, wrong_type
from bmjax.models.weight_files.unpickle import (
    RefusedError,
    Storage,
    Tensor,
    Unpickler,
    UnreadType,
)

# torch.serialization: how a file of torch before 1.6 begins.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError),
    *(LookupError, MemoryError, NotImplementedError, RuntimeError),
    *(TypeError, ValueError),
)

_DEEPEST = 30  # dicts in which a dict stands; ours
# A member of a zip archive may unpack to so many times its bytes and these; ours.
_MOST_RATIO, _MOST_INFLATED = 20, 2**20

_ReadBytes = Callable[[Storage], bytes]


@contextlib.contextmanager
def open_pth(path: Path) -> Iterator[StateDicts]:
    """Open a file whose entries, as torch laid them out, can be read in the context.

    Every dict of tensors in it is found, however deep.

    Raises:
        CheckpointError: the file is damaged, names a function or type that is not on
            the list, or holds no dict of tensors.
    """
    with contextlib.ExitStack() as opened:
        with _explained(path):
            file = opened.enter_context(open(path, "rb"))
            is_zip = file.read(2) == b"PK"
            file.seek(0)
            if is_zip:
                archive = opened.enter_context(zipfile.ZipFile(file))
                loaded, read = _open_zip(archive)
            else:
                loaded, read = _open_stream(file, path)
            dicts = {
                keys: {
                    name: _entry(path, name, tensor, read)
                    for name, tensor in tensors.items()
                }
                for keys, tensors in _dicts_of_tensors(loaded).items()
            }
        if not dicts:
            holds = ", ".join(map(str, loaded)) if isinstance(loaded, dict) else ""
            raise CheckpointError(
                f"{str(path)!r} holds no state dict of tensors (its entries: "
                f"{holds[:200] or 'none'}); save the model's state_dict()"
            )
        yield dicts


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into a sentence."""
    try:
        yield
    except RefusedError as error:
        raise CheckpointError(
            f"{str(path)!r} asks for {error}, which is not on the list of what a file "
            "of weights may hold, and was not run; save the model's state_dict() "
            "alone, or give a .safetensors file"
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be read: {describe_os_error(error)}"
        ) from None
    except _DAMAGE as error:
        raise CheckpointError(
            f"{str(path)!r} is no whole file of torch weights ({error or 'cut off'}); "
            "copy it again, or give a .safetensors file"
        ) from None


def _open_zip(archive: zipfile.ZipFile) -> tuple[Any, _ReadBytes]:
    names = archive.namelist()
    found = [n for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
    if len(found) != 1:
        raise ValueError("a zip archive without torch's data.pkl")
    for about in archive.infolist():
        # torch does not compress; whoever does gains a tenth of weights.
        if about.file_size > _MOST_RATIO * about.compress_size + _MOST_INFLATED:
            raise ValueError(
                f"{about.compress_size:,} bytes of it unpack to {about.file_size:,}"
            )
    folder = found[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in names and archive.read(order) != b"little":
        raise ValueError("big-endian numbers")
    with archive.open(found[0]) as pickled:
        loaded = Unpickler(pickled).load()
    return loaded, lambda storage: archive.read(f"{folder}data/{storage.key}")


def _open_stream(file: io.BufferedReader, path: Path) -> tuple[Any, _ReadBytes]:
    magic, protocol, system = (Unpickler(file).load() for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise ValueError("it does not begin as such a file does")
    if not system["little_endian"]:
        raise ValueError("big-endian numbers")
    unpickler = Unpickler(file)
    loaded = unpickler.load()
    starts, size = {}, path.stat().st_size
    for key in map(_storage_key, Unpickler(file).load()):
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} numbers")
        if isinstance(storage.dtype, UnreadType):  # of a size that is not known
            raise wrong_type(path, _first_of(loaded, key), storage.dtype.name)
        starts[key] = file.tell()
        file.seek(count * storage.dtype.itemsize, 1)
        if file.tell() > size:
            raise ValueError("cut off")

    def read(storage: Storage) -> bytes:
        file.seek(starts[storage.key])
        return file.read(storage.count * storage.dtype.itemsize)

    return loaded, read


def _storage_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a storage called by a {type(key).__name__}")
    return key


def _first_of(loaded: Any, key: str) -> str:
    """The name of the first tensor that stands in a storage."""
    return next(
        name
        for tensors in _dicts_of_tensors(loaded).values()
        for name, tensor in tensors.items()
        if tensor.storage.key == key
    )


def _dicts_of_tensors(loaded: Any) -> dict[str, dict[str, Tensor]]:
    """Find the dicts that hold tensors, by the keys that lead to them."""
    found = {}
    seen = set()  # a dict may stand in itself
    to_search: deque[tuple[tuple[str, ...], Any]] = deque([((), loaded)])
    while to_search:
        keys, here = to_search.popleft()
        if not isinstance(here, dict) or id(here) in seen:
            continue
        if len(keys) > _DEEPEST:
            raise ValueError(f"dicts in more than {_DEEPEST} dicts")
        seen.add(id(here))
        tensors = {str(k): v for k, v in here.items() if isinstance(v, Tensor)}
        if tensors:
            found[".".join(keys)] = tensors
        to_search.extend(((*keys, str(key)), value) for key, value in here.items())
    return found


def _entry(path: Path, name: str, tensor: Tensor, read: _ReadBytes) -> Entry:
    """Describe a tensor; one whose view reaches out of its storage is damage."""
    storage, offset, shape, stride = tensor
    if isinstance(storage.dtype, UnreadType):
        number_type = storage.dtype.name
        if number_type in FLOATS:
            raise ValueError(f"{name} is of a type that torch writes otherwise")
        return Entry(name, shape, number_type, partial(_no_numbers, name))
    numbers = (offset, *shape, *stride, storage.count)
    if len(shape) != len(stride) or any(
        not isinstance(number, int) or number < 0 for number in numbers
    ):
        raise ValueError(f"{name} has no possible shape")
    steps = zip(shape, stride, strict=True)
    last = offset + sum((length - 1) * step for length, step in steps)
    if math.prod(shape) and last >= storage.count:
        raise ValueError(f"{name} reaches beyond its storage")
    return Entry(
        name, shape, storage.dtype.name, partial(_read, path, name, tensor, read)
    )


def _no_numbers(name: str) -> np.ndarray:
    raise ValueError(f"the numbers of {name} are of a type that is not read")


def _read(path: Path, name: str, tensor: Tensor, read: _ReadBytes) -> np.ndarray:
    """Read a tensor's numbers: a view of its storage's bytes, without a copy."""
    storage, offset, shape, stride = tensor
    if not math.prod(shape):
        return np.zeros(shape, storage.dtype)
    with _explained(path):
        values = np.frombuffer(read(storage), storage.dtype)
        if len(values) < storage.count:
            raise ValueError(f"{name} reaches beyond its storage")
    return np.lib.stride_tricks.as_strided(
        values[offset:],
        shape,
        [step * storage.dtype.itemsize for step in stride],
        writeable=False,
    )
