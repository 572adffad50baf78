"""Weights and inputs that any framework can rebuild from names, so none are stored.

The recorded numbers in tests/golden/resn*.npz are torchvision's on these. Every array
is drawn by numpy's PCG64, seeded by the SHA-256 of its name. Layouts are torch's,
values float32; `network_variables` gives bmjax's layouts and names.
"""

import hashlib
import re

import numpy as np
from flax.traverse_util import unflatten_dict

BLOCK_PARTS = {"downsample.0": "downsample_conv", "downsample.1": "downsample_bn"}


def generator(*names: str) -> np.random.Generator:
    digest = hashlib.sha256("/".join(names).encode()).digest()
    seed = int.from_bytes(digest[:8], "little")
    return np.random.Generator(np.random.PCG64(seed))


def torch_weight(network: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Rebuilds one entry of a torchvision state dict, running statistics included."""
    normal = generator("weights", network, name).standard_normal(shape)
    if len(shape) == 4:
        weight = normal * np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
    elif name == "fc.weight":
        weight = normal / np.sqrt(shape[1])
    elif name.endswith("running_var"):
        weight = np.exp(0.2 * normal)
    elif name.endswith(("bias", "running_mean")):
        weight = 0.1 * normal
    else:
        weight = 0.7 + 0.1 * normal  # the scale of a batch normalization
    return weight.astype(np.float32)


def inputs(case: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rebuilds images [B, H, W, C] and labels [B] for a shape in torch's order."""
    images = generator("input", case).standard_normal(shape).astype(np.float32)
    labels = generator("labels", case).integers(0, 21, shape[0])
    return images.transpose(0, 2, 3, 1), labels


def bmjax_path(name: str) -> tuple[str, ...]:
    """Translates "layer1.0.downsample.1.weight" into bmjax's path of names."""
    module, leaf = name.rsplit(".", 1)
    if module == "fc":
        return ("fc", {"weight": "kernel", "bias": "bias"}[leaf])
    block = re.fullmatch(r"(layer\d)\.(\d+)\.(.+)", module)
    path = (module,) if block is None else (f"{block[1]}_{block[2]}", block[3])
    part = BLOCK_PARTS.get(path[-1], path[-1])
    weight = "kernel" if "conv" in part else "scale"
    leaf = {"weight": weight, "running_mean": "mean", "running_var": "var"}.get(
        leaf, leaf
    )
    return ("backbone", *path[:-1], part, leaf)


def from_torch(array: np.ndarray) -> np.ndarray:
    """Changes OIHW to HWIO, and (outputs, inputs) to (inputs, outputs)."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def network_variables(
    network: str, shapes: dict[str, list[int]], dtype: type
) -> tuple[dict, dict]:
    """Rebuilds a network's params and batch_stats from the shapes of its state dict."""
    params, batch_stats = {}, {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            continue
        tree = batch_stats if "running" in name else params
        weight = from_torch(torch_weight(network, name, tuple(shape)))
        tree[bmjax_path(name)] = weight.astype(dtype)
    return unflatten_dict(params), unflatten_dict(batch_stats)
