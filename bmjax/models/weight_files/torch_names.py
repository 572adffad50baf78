"""The same array in our trees and in torch's state dicts: names and layouts.

Names are torchvision's (timm has the same for these networks), the head's and the
prototypes' those of facebookresearch/swav, an MLP head's without batch normalization
those of HobbitLong/SupContrast.
"""

import re
from collections.abc import Container

import numpy as np
from jax import Array

_DOWNSAMPLE = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
_HEADS = {
    "linear": {"fc": "projection_head"},
    "mlp_bn": {
        "fc1": "projection_head.0",
        "bn1": "projection_head.1",
        "fc2": "projection_head.3",
    },
    "mlp": {"fc1": "head.0", "fc2": "head.2"},
}
_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def torch_name(path: tuple[str, ...], *, head: str = "none") -> str:
    """Name the entry of an array in our trees.

    Args:
        path: of the array, as ("backbone", "layer1_0", "conv1", "kernel").
        head: the kind of the projection head, for arrays of it.
    """
    if path == ("prototypes",):
        return "prototypes.weight"
    part, *modules, leaf = path
    if part == "fc":
        modules = ["fc"]
    elif part == "head":
        modules = [_HEADS[head][modules[0]]]
    else:
        modules = [_DOWNSAMPLE.get(module, module) for module in modules]
        modules[0] = re.sub(r"^(layer\d+)_(\d+)$", r"\1.\2", modules[0])
    return ".".join((*modules, _LEAVES[leaf]))


def to_torch(array: Array | np.ndarray) -> np.ndarray:
    """HWIO to OIHW, (inputs, outputs) to (outputs, inputs)."""
    array = np.asarray(array)
    turned = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    return np.ascontiguousarray(turned)


def from_torch(array: np.ndarray) -> np.ndarray:
    """OIHW to HWIO, (outputs, inputs) to (inputs, outputs)."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `to_torch` gives to an array of this shape."""
    if len(shape) == 4:
        height, width, inputs, outputs = shape
        return outputs, inputs, height, width
    return shape[::-1]


def find_head(names: Container[str]) -> tuple[str, str]:
    """Tell the kind of a projection head, and the entry of its last layer's kernel."""
    for kind, modules in _HEADS.items():
        last = f"{list(modules.values())[-1]}.weight"
        if last in names:
            return kind, last
    return "none", ""
