"""Files as torch writes them, made without torch.

`write_pth` writes torch's zip archive: arrays become tensors, and what is a `Global`
is pickled as a name, whether or not there is such a module.
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from bmjax.models import family_of, make_network
from bmjax.models.weight_files.torch_names import to_torch, torch_name
from tests.helpers.golden_weights import torch_weight

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int8": "CharStorage",
}


def entries_of(name, *, num_classes=3, head="none", **more):
    """A state dict under torchvision's names, of seeded values."""
    network = make_network(name, num_classes=num_classes, head=head, **more)
    images = jnp.zeros((1, 16, 16, 3))
    shapes = jax.eval_shape(network.init, jax.random.key(0), images)
    return {
        (entry := torch_name(path, family_of(name), head=head)): torch_weight(
            name, entry, to_torch(np.empty(leaf.shape)).shape
        )
        for tree in shapes
        for path, leaf in flatten_dict(tree).items()
    }


class Global(NamedTuple):
    """A function or type that the file names."""

    module: str
    name: str


class Storage:
    """A run of bytes in the file."""

    def __init__(self, content: bytes, kind: Global, count: int):
        self.content, self.kind, self.count = content, kind, count


class Call:
    """A call that unpickling makes."""

    def __init__(self, function: Global, *arguments: Any):
        self.function, self.arguments = function, arguments


def tensor(array: np.ndarray) -> Call:
    """A tensor of its own storage."""
    kind = Global("torch", _STORAGES[array.dtype.name])
    array = np.ascontiguousarray(array).reshape(array.shape)
    return view(
        Storage(array.tobytes(), kind, array.size),
        shape=array.shape,
        stride=tuple(step // array.itemsize for step in array.strides),
    )


def view(storage: Storage, *, shape: Any, stride: Any, offset: Any = 0) -> Call:
    """A tensor of any numbers, possible or not."""
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, stride, False, OrderedDict())


def float8_tensor(shape: tuple[int, ...], name: str = "float8_e4m3fn") -> Call:
    """A tensor of a type for which torch has no storage, as torch 2.14 writes it."""
    count = int(np.prod(shape))
    storage = Storage(bytes(count), Global("torch.storage", "UntypedStorage"), count)
    call = view(storage, shape=shape, stride=tuple(np.empty(shape, "u1").strides))
    rebuild = Global("torch._utils", "_rebuild_tensor_v3")
    return Call(rebuild, *call.arguments, Global("torch", name))


class _Pickler(pickle._Pickler):
    def __init__(self, file: Any):
        super().__init__(file, protocol=2)
        self.storages: list[Storage] = []

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(obj, np.ndarray):
            self.save(tensor(obj))
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        self.storages.append(obj)
        return "storage", obj.kind, str(len(self.storages) - 1), "cpu", obj.count


def write_pth(path: Path, content: Any) -> Path:
    """Write what torch.save would: dicts of arrays and of what this module makes."""
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            pickler = _Pickler(file)
            pickler.dump(content)
        for key, storage in enumerate(pickler.storages):
            archive.writestr(f"archive/data/{key}", storage.content)
    return path
