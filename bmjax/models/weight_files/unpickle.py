"""Unpickling what torch saved, without torch and without running its code.

Unpickling calls whatever function the pickle names. Here only names from a list are
known: those of tensors, and of harmless records that training scripts leave beside
them. Any other name is an error. Tensors come as their places in the file.

A pickle of some hundred bytes can also ask for endless work: a key made of tuples of
tuples takes 2^n steps to hash. Keys are therefore plain, nothing but keys is hashed,
compared or printed, and a pickle is read up to a length.
"""

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np


class UnreadType(NamedTuple):
    """A type of numbers that is known by its name alone, as "float8_e4m3fn"."""

    name: str


class Storage(NamedTuple):
    """A run of numbers in the file."""

    key: str
    dtype: np.dtype | UnreadType
    count: int


class Tensor(NamedTuple):
    """A view of a storage, not read yet; offset and stride count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class RefusedError(Exception):
    """The file names something that is not on the list."""


class _Record:
    """Stands for an object that weights do not need: it takes all and does nothing."""

    def __init__(self, *arguments: Any, **named: Any):
        del arguments, named

    def __setstate__(self, state: Any) -> None:
        del state


def _rebuild(storage: Storage, offset: int, shape: Any, stride: Any, *_: Any):
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    return Tensor(storage, offset, tuple(shape), tuple(stride))


def _rebuild_typed(
    storage: Storage,
    offset: int,
    shape: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: np.dtype | UnreadType,
    *_: Any,
):
    """A tensor whose storage counts bytes: torch's way with its newer types."""
    del requires_grad, hooks
    if not isinstance(dtype, UnreadType):
        raise TypeError("a tensor without a type")
    return _rebuild(storage._replace(dtype=dtype), offset, shape, stride)


_MOST_PICKLE = 2**22  # bytes: names and shapes of 30,000 tensors; ours
_KEYS = (str, bytes, int, float, type(None), _Record)


def _checked_keys(keys: Iterable[Any]) -> list[Any]:
    """What is put into a dict or set: only what is hashed at once."""
    keys = list(keys)
    for key in keys:
        parts = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(part, _KEYS) for part in parts):
            raise TypeError(f"a key of type {type(key).__name__}")
    return keys


def _ordered(pairs: Iterable[Any] = ()) -> OrderedDict:
    pairs = [(key, value) for key, value in pairs]
    _checked_keys(key for key, _ in pairs)
    return OrderedDict(pairs)


def _set(items: Iterable[Any] = ()) -> set:
    return set(_checked_keys(items))


_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": _ordered,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_tensor_v3": _rebuild_typed,
    "torch._utils._rebuild_qtensor": _rebuild,
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
    "torch.storage.UntypedStorage": np.dtype(np.uint8),
    # Options and best scores that training scripts save beside the weights.
    "argparse.Namespace": _Record,
    "torch.device": _Record,
    "_codecs.encode": _Record,
    "numpy.dtype": _Record,
    "numpy.core.multiarray.scalar": _Record,
    "numpy._core.multiarray.scalar": _Record,
}
# Types of numbers, and the schemes of quantized ones.
_TYPES = re.compile(
    r"torch\.(\w+Storage|(?:float|bfloat|u?int|q?u?int|complex|bits)\d\w*|per_\w+)"
)


class _Bounded:
    """A file up to some length, in which a line that is cut off is an error."""

    def __init__(self, file: io.BufferedIOBase, most: int):
        self._file, self._left = file, most

    def read(self, count: int) -> bytes:
        self._take(count)
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(self._left + 1)
        self._take(len(line))
        if not line.endswith(b"\n"):
            raise EOFError("cut off")
        return line

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError(f"its pickle has more than {_MOST_PICKLE:,} bytes")


class Unpickler(pickle._Unpickler):
    """Unpickles with nothing but the names above; notes the storages it meets.

    It is Python's own in Python: a damaged number makes the one in C allocate up to
    64 GB before it notices (python/cpython#115952), and the pickles here are short.
    """

    def __init__(self, file: io.BufferedIOBase):
        super().__init__(_Bounded(file, _MOST_PICKLE))
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up; called for every function and type in the file."""
        full = f"{module}.{name}"
        if full in _ALLOWED:
            return _ALLOWED[full]
        if number_type := _TYPES.fullmatch(full):
            return UnreadType(number_type[1])
        raise RefusedError(full)

    def persistent_load(self, pid: Any) -> Storage:
        """Take ("storage", type, key, device, count), the only kind of reference."""
        kind, dtype, key, _, count, *view = pid
        known = isinstance(dtype, np.dtype | UnreadType) and isinstance(count, int)
        plain = all(isinstance(text, str | int) for text in (kind, key))
        if not known or not plain or kind != "storage" or any(view):
            raise TypeError("a reference that is no storage's")
        storage = Storage(str(key), dtype, count)
        return self.storages.setdefault(storage.key, storage)

    def load_setitem(self) -> None:
        """Put an item into a dict, of plain keys."""
        _checked_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Put items into a dict, of plain keys."""
        _checked_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """Make a dict, of plain keys."""
        _checked_keys(self.stack[::2])
        super().load_dict()

    def load_additems(self) -> None:
        """Put items into a set, of plain keys."""
        _checked_keys(self.stack)
        super().load_additems()

    def load_frozenset(self) -> None:
        """Make a frozen set, of plain keys."""
        _checked_keys(self.stack)
        super().load_frozenset()

    def load_build(self) -> None:
        """Leave out what an object is given besides: an attribute of whatever it is."""
        self.stack.pop()

    def load_bytearray8(self) -> None:
        """Refuse what would be allocated before it is read."""
        raise TypeError("a bytearray")

    # By operation, as Python's own calls them.
    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.ADDITEMS[0]: load_additems,
        pickle.FROZENSET[0]: load_frozenset,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }
