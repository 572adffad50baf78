"""Tensors out of torch's .pth files, without torch and without running their code.

A .pth file is a pickle, and unpickling calls whatever function the file names. Here
only names from a list are known: those of tensors, and of harmless records that
training scripts leave beside them. Any other name, and any damage, is an error.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bmjax.errors import CheckpointError

# torch.serialization: how a file of torch before 1.6 begins.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    *(ArithmeticError, AttributeError, EOFError, ImportError, LookupError),
    *(MemoryError, NotImplementedError, RuntimeError, TypeError, ValueError),
)
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")


class _Storage(NamedTuple):
    """A run of numbers in the file."""

    key: str
    dtype: np.dtype
    count: int


class _Tensor(NamedTuple):
    """A view of a storage, not read yet; offset and stride count numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Record:
    """Stands for an object that weights do not need: it takes all and does nothing."""

    def __init__(self, *arguments: Any, **named: Any):
        del arguments, named

    def __setstate__(self, state: Any) -> None:
        del state


class _RefusedError(Exception):
    """The file names something that is not on the list."""


def _rebuild(storage: _Storage, offset: int, shape: Any, stride: Any, *_: Any):
    if not isinstance(storage, _Storage):
        raise TypeError("a tensor without a storage")
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "__builtin__.set": set,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": np.dtype(jnp.bfloat16),
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
    # Options and best scores that training scripts save beside the weights.
    "argparse.Namespace": _Record,
    "torch.device": _Record,
    "_codecs.encode": _Record,
    "numpy.dtype": _Record,
    "numpy.core.multiarray.scalar": _Record,
    "numpy._core.multiarray.scalar": _Record,
}


class _Unpickler(pickle.Unpickler):
    """Unpickles with nothing but the names above; notes the storages it meets."""

    def __init__(self, file: io.BufferedIOBase):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up; called for every function and type in the file."""
        try:
            return _ALLOWED[f"{module}.{name}"]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> _Storage:
        """Take ("storage", type, key, device, count), the only kind of reference."""
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or any(view):
            raise TypeError(f"a reference of kind {kind!r}")
        storage = _Storage(str(key), dtype, count)
        return self.storages.setdefault(storage.key, storage)


def read_pth(path: Path) -> dict[str, np.ndarray]:
    """Return the state dict of a .pth file, by name, as torch laid it out.

    Both of torch's formats are read, its zip archive and the older stream. The state
    dict is the object itself or what it holds as "state_dict" or "model".

    Raises:
        CheckpointError: the file is damaged, names a function or type that is not on
            the list, or holds no state dict.
    """
    try:
        with open(path, "rb") as file:
            read = _read_zip if zipfile.is_zipfile(file) else _read_stream
            file.seek(0)
            return read(file, path)
    except _RefusedError as error:
        raise CheckpointError(
            f"{str(path)!r} asks for {error}, which is not on the list of what a file "
            "of weights may hold, and was not run; save the model's state_dict() "
            "alone, or give a .safetensors file"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from None
    except _DAMAGE as error:
        raise CheckpointError(
            f"{str(path)!r} is no whole file of torch weights ({error or 'cut off'}); "
            "copy it again, or give a .safetensors file"
        ) from None


def _read_zip(file: io.BufferedIOBase, path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        (pickled,) = [n for n in names if n.endswith("/data.pkl") and n.count("/") == 1]
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in names and archive.read(order) != b"little":
            raise ValueError("big-endian numbers")
        stream = io.BytesIO(archive.read(pickled))
        state = _state_dict(_Unpickler(stream).load(), path)

        def read(storage: _Storage) -> bytes:
            return archive.read(f"{folder}data/{storage.key}")

        return dict(_arrays(state, read))


def _read_stream(file: io.BufferedIOBase, path: Path) -> dict[str, np.ndarray]:
    magic, protocol, system = (_Unpickler(file).load() for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise ValueError("it does not begin as such a file does")
    if not system["little_endian"]:
        raise ValueError("big-endian numbers")
    unpickler = _Unpickler(file)
    state = _state_dict(unpickler.load(), path)
    starts = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        if count != unpickler.storages[key].count:
            raise ValueError(f"storage {key} has {count} numbers")
        starts[key] = file.tell()
        file.seek(count * unpickler.storages[key].dtype.itemsize, 1)

    def read(storage: _Storage) -> bytes:
        file.seek(starts[storage.key])
        return file.read(storage.count * storage.dtype.itemsize)

    return dict(_arrays(state, read))


def _state_dict(loaded: Any, path: Path) -> dict[str, _Tensor]:
    """Find the dict of tensors in what was saved."""
    found = loaded
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            found = loaded[wrapper]
            break
    tensors = {}
    if isinstance(found, dict):
        tensors = {str(k): v for k, v in found.items() if isinstance(v, _Tensor)}
    if not tensors:
        holds = ", ".join(map(str, found)) if isinstance(found, dict) else "none"
        raise CheckpointError(
            f"{str(path)!r} holds no state dict of tensors (its entries: "
            f"{holds[:200] or 'none'}); save the model's state_dict()"
        )
    return tensors


def _arrays(
    tensors: dict[str, _Tensor], read: Callable[[_Storage], bytes]
) -> Iterator[tuple[str, np.ndarray]]:
    """Read the tensors; a view that reaches out of its storage is damage."""
    for name, (storage, offset, shape, stride) in tensors.items():
        numbers = (offset, *shape, *stride, storage.count)
        if len(shape) != len(stride) or any(
            not isinstance(number, int) or number < 0 for number in numbers
        ):
            raise ValueError(f"{name} has no possible shape")
        values = np.frombuffer(read(storage), storage.dtype)
        steps = zip(shape, stride, strict=True)
        last = offset + sum((length - 1) * step for length, step in steps)
        if math.prod(shape) and (last >= len(values) or len(values) < storage.count):
            raise ValueError(f"{name} reaches beyond its storage")
        if not math.prod(shape):
            yield name, np.zeros(shape, storage.dtype)
            continue
        view = np.lib.stride_tricks.as_strided(
            values[offset:],
            shape,
            [step * storage.dtype.itemsize for step in stride],
            writeable=False,
        )
        yield name, view.copy()
