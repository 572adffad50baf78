"""Entries of a file that holds adapters, and heads, without their backbone."""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from bmjax.errors import CheckpointError
from bmjax.models.families import family_of, feature_dim
from bmjax.models.lora import adapter_shapes
from bmjax.models.weight_files.entries import read_floats
from bmjax.models.weight_files.match import Wanted, compare_entries, expected_entries
from bmjax.models.weight_files.safetensors_file import open_safetensors
from bmjax.models.weight_files.torch_names import (
    MASK_TOKEN,
    from_torch,
    torch_name,
    torch_shape,
)
from bmjax.types import Tree


def read_adapters(
    path: Path,
    name: str,
    backbone: Tree,
    *,
    rank: int,
    layers: Sequence[str],
    pooling: str,
) -> tuple[Tree, Tree]:
    """Read adapters, and the heads beside them, that `write_weights` wrote.

    Args:
        path: of a .safetensors file.
        name: of the network.
        backbone: its parameters, which the adapters are for.
        rank: of each adapter.
        layers: the last names of the layers that have one.
        pooling: how the features were made that the heads stand on.

    Returns:
        params and batch_stats, float32: "lora", and "fc", "head", "prototypes" and
        "mask_token" where the file has them.

    Raises:
        ConfigError: the backbone has no such layers.
        CheckpointError: the file is damaged, or its entries are not these.
    """
    family = family_of(name)
    shapes = adapter_shapes(backbone, rank=rank, layers=layers)
    expected = {
        torch_name(key, family): Wanted("params", key, torch_shape(leaf.shape))
        for key, leaf in flatten_dict(shapes).items()
    }
    with open_safetensors(path) as dicts:
        entries = dicts[""]
        if MASK_TOKEN in entries:
            expected[MASK_TOKEN] = Wanted(
                "params", (MASK_TOKEN,), (1, feature_dim(name))
            )
        for entry, wanted in expected_entries(name, entries, pooling).items():
            if wanted.path[0] != "backbone":
                expected[entry] = wanted
        match = compare_entries(entries, expected)
        if wrong := match.misshaped + match.missing + match.unused:
            raise CheckpointError(
                f"{str(path)!r} holds no adapters of rank {rank} on "
                f"{', '.join(layers)} of this {name}: entries missing "
                f"{len(match.missing):,}, mis-shaped {len(match.misshaped):,}, too "
                f"many {len(match.unused):,} (first {wrong[0]}); export the run again"
            )
        trees: dict[str, dict] = {"params": {}, "batch_stats": {}}
        for entry, (tree, key, _) in expected.items():
            values = from_torch(read_floats(path, entries[entry]))
            trees[tree][key] = jnp.asarray(values)
    return unflatten_dict(trees["params"]), unflatten_dict(trees["batch_stats"])
