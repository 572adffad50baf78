"""The same array in our trees and in torch's state dicts: names and layouts.

Names of a backbone and a classifier are its family's to say, the head's and the
prototypes' are those of facebookresearch/swav, an MLP head's without batch
normalization those of HobbitLong/SupContrast.
"""

import re
from collections.abc import Container

import numpy as np
from jax import Array

from bmjax.models.family import Family

_HEADS = {
    "linear": {"fc": "projection_head"},
    "mlp_bn": {
        "fc1": "projection_head.0",
        "bn1": "projection_head.1",
        "fc2": "projection_head.3",
    },
    "mlp": {"fc1": "head.0", "fc2": "head.2"},
    # DINO's own stand under other names, beside a second head; a file of ours has one.
    "mlp_gelu": {
        "fc1": "projection_head.0",
        "fc2": "projection_head.2",
        "fc3": "projection_head.4",
    },
}
# Of adapters beside the layer whose kernel is LAYER.weight: names of Hu et al.'s code.
_ADAPTERS = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight"}
MASK_TOKEN = "mask_token"  # of methods that mask patches, here and in files
_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "lineages": "lineages",
}
# Axes by the number of them: kernels of convolutions and of dense layers.
_TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0)}
_FROM_TORCH = {4: (2, 3, 1, 0), 2: (1, 0)}


def torch_name(path: tuple[str, ...], family: Family, *, head: str = "none") -> str:
    """Name the entry of an array in our trees.

    Args:
        path: of the array, as ("backbone", "layer1_0", "conv1", "kernel").
        family: of the network.
        head: the kind of the projection head, for arrays of it.
    """
    if path == ("prototypes",):
        return "prototypes.weight"
    if path == (MASK_TOKEN,):
        return MASK_TOKEN
    part, *modules, leaf = path
    if part == "backbone":
        return family.entry((*modules, leaf))
    if part == "lora":
        layer = family.entry((*modules, "kernel")).removesuffix(".weight")
        return f"{layer}.{_ADAPTERS[leaf]}"
    if part == "fc":
        return ".".join([family.classifier, *modules, _LEAVES[leaf]])
    return f"{_HEADS[head][modules[0]]}.{_LEAVES[leaf]}"


def usual_name(entry: str) -> str:
    """Name an entry of a backbone as torchvision does, where SupContrast differs."""
    return re.sub(r"^(layer\d+\.\d+\.)shortcut\.", r"\1downsample.", entry)


def to_torch(array: Array | np.ndarray) -> np.ndarray:
    """HWIO to OIHW, (inputs, outputs) to (outputs, inputs); others as they are."""
    array = np.asarray(array)
    return np.ascontiguousarray(
        array.transpose(_TO_TORCH.get(array.ndim, range(array.ndim)))
    )


def from_torch(array: np.ndarray) -> np.ndarray:
    """OIHW to HWIO, (outputs, inputs) to (inputs, outputs); others as they are."""
    return array.transpose(_FROM_TORCH.get(array.ndim, range(array.ndim)))


def torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `to_torch` gives to an array of this shape."""
    axes = _TO_TORCH.get(len(shape), range(len(shape)))
    return tuple(shape[axis] for axis in axes)


def find_head(names: Container[str]) -> tuple[str, str]:
    """Tell the kind of a projection head, and the entry of its last layer's kernel."""
    for kind, modules in _HEADS.items():
        last = f"{list(modules.values())[-1]}.weight"
        if last in names:
            return kind, last
    return "none", ""
