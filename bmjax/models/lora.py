"""Low-rank adapters beside a frozen backbone's dense layers (LoRA).

Hu et al. 2021: a dense layer W x + b becomes W x + b + (alpha / rank) B A x, where A
and B alone are trained. A begins as torch.nn.Linear's kernels do, B as zeros
(microsoft/LoRA, loralib/layers.py), so that training begins at the pretrained network.
The adapters of the kernel backbone/M/kernel lie under lora/M as "lora_a" [inputs, rank]
and "lora_b" [rank, outputs].
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from bmjax.errors import ConfigError
from bmjax.models.heads import Dense
from bmjax.models.init import FanIn
from bmjax.types import Network, Tree

_PART = "lora"


def add_lora(
    network: Network, *, rank: int, alpha: float, layers: Sequence[str]
) -> Network:
    """Return a network with adapters; its parameters have them under "lora".

    The backbone's own parameters are not changed by this; that they stay still is the
    method's to say (`Method.frozen`).

    Args:
        network: whose backbone has dense layers of these names.
        rank: of each adapter.
        alpha: the adapters' output is multiplied by alpha / rank.
        layers: the last names of the layers that get one, as "qkv".

    Raises:
        ConfigError: from `init`, where the backbone has no such layer.
    """
    scale = alpha / rank

    def init(key: Array, images: Tree) -> tuple[Tree, Tree]:
        params, batch_stats = network.init(key, images)
        adapters = init_adapters(
            jax.random.fold_in(key, 1), params["backbone"], rank=rank, layers=layers
        )
        return {**params, _PART: adapters}, batch_stats

    def apply(
        params: Tree,
        batch_stats: Tree,
        images: Tree,
        *,
        train: bool,
        key: Array | None = None,
    ) -> tuple[dict[str, Array], Tree]:
        own, adapters = split_adapters(params)
        # Beside the layer and not in its kernel, whose gradient is then never needed.
        with nn.intercept_methods(_beside(flatten_dict(adapters), scale)):
            return network.apply(own, batch_stats, images, train=train, key=key)

    def tokens(
        params: Tree, batch_stats: Tree, images: Array, **options: Any
    ) -> tuple[Array, Array, Tree]:
        own, adapters = split_adapters(params)
        assert network.tokens is not None
        with nn.intercept_methods(_beside(flatten_dict(adapters), scale)):
            return network.tokens(own, batch_stats, images, **options)

    found = network._replace(init=init, apply=apply)
    return found._replace(tokens=tokens) if network.tokens else found


def init_adapters(
    key: Array, backbone: Tree, *, rank: int, layers: Sequence[str]
) -> Tree:
    """Draw the adapters of a backbone's parameters.

    Raises:
        ConfigError: no dense layer has one of these names.
    """
    kernels = {
        path[:-1]: leaf
        for path, leaf in flatten_dict(backbone).items()
        if path[-1] == "kernel" and leaf.ndim == 2
    }
    names = {path[-1] for path in kernels}
    if unknown := [name for name in layers if name not in names]:
        raise ConfigError(
            f"config.lora.layers = {unknown[0]!r} is no dense layer of the backbone; "
            + (f"use some of {', '.join(sorted(names))}" if names else "it has none")
        )
    adapters = {}
    chosen = sorted(path for path in kernels if path[-1] in layers)
    for path, one in zip(chosen, jax.random.split(key, len(chosen)), strict=True):
        inputs, outputs = kernels[path].shape
        dtype = kernels[path].dtype
        adapters[*path, "lora_a"] = FanIn(inputs).draw(one, (inputs, rank), dtype)
        adapters[*path, "lora_b"] = jnp.zeros((rank, outputs), dtype)
    return unflatten_dict(adapters)


def split_adapters(params: Tree) -> tuple[Tree, Tree]:
    """Return a network's parameters without adapters, and the adapters; {} for none."""
    own = {name: value for name, value in params.items() if name != _PART}
    return own, params.get(_PART, {})


def adapter_shapes(backbone: Tree, *, rank: int, layers: Sequence[str]) -> Tree:
    """The shapes and types of what `init_adapters` draws, under "lora".

    Raises:
        ConfigError: as `init_adapters`.
    """
    draw = partial(init_adapters, rank=rank, layers=layers)
    return {_PART: jax.eval_shape(draw, jax.random.key(0), backbone)}


def merge_adapters(params: Tree, *, rank: int, alpha: float) -> Tree:
    """Return parameters of the network without adapters that gives the same outputs.

    kernel + (alpha / rank) lora_a lora_b in the place of each adapted kernel.
    """
    own, adapters = split_adapters(params)
    flat, kernels = flatten_dict(adapters), flatten_dict(own["backbone"])
    for path, down in flat.items():
        if path[-1] == "lora_a":
            place, up = (*path[:-1], "kernel"), flat[*path[:-1], "lora_b"]
            kernels[place] = kernels[place] + (alpha / rank) * (down @ up)
    return {**own, "backbone": unflatten_dict(kernels)}


def _beside(adapters: Mapping[tuple[str, ...], Array], scale: float):
    """What flax calls in the place of each method of each layer."""

    def layer(call, arguments, options, context):
        outputs = call(*arguments, **options)
        path = context.module.path[1:]  # below "backbone"
        if not isinstance(context.module, Dense) or (*path, "lora_a") not in adapters:
            return outputs
        (inputs,) = arguments
        down, up = (
            adapters[*path, name].astype(inputs.dtype) for name in ("lora_a", "lora_b")
        )
        return outputs + scale * (inputs @ down @ up)

    return layer
