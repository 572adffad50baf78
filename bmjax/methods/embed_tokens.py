"""What methods of class tokens and patches share: from views to embeddings."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from bmjax.methods.embed_views import unit
from bmjax.settings import Number
from bmjax.types import Network, Tree


class Slots(NamedTuple):
    """Room for the masked patches of a batch's views.

    patch: int [B, masked views, slots], a patch by its number among those of all of the
        views of its image.
    held: bool of the same shape, whether a slot holds a masked patch.
    """

    patch: Array
    held: Array


def masked_slots(masks: Array, *, views: int, share: Number) -> Slots:
    """Find the masked patches; their number varies, the room for them does not.

    Args:
        masks: bool [B, V, rows, columns].
        views: of an image that are masked, at the most.
        share: of a view's patches that are masked, at the most.
    """
    batch, count = len(masks), masks.shape[2] * masks.shape[3]
    flat = masks.reshape(batch, -1, count)
    chosen = jnp.argsort(-flat.sum(axis=-1), axis=1)[:, :views]
    masked = jnp.take_along_axis(flat, chosen[..., None], axis=1)
    room = max(int(count * share), 1)
    order = jnp.argsort(~masked, axis=-1)[..., :room]  # masked patches come first
    held = jnp.take_along_axis(masked, order, axis=-1)
    return Slots(chosen[..., None] * count + order, held)


def take_slots(patches: Array, slots: Slots) -> Array:
    """Put patches [B, V, P, F] into their slots, [B, masked views, slots, F]."""
    batch, width = len(patches), patches.shape[-1]
    every = patches.reshape(batch, -1, width)
    index = slots.patch.reshape(batch, -1, 1)
    return jnp.take_along_axis(every, index, axis=1).reshape(*slots.patch.shape, width)


def view_tokens(
    network: Network,
    params: Tree,
    batch_stats: Tree,
    images: Array,
    *,
    train: bool,
    masks: Array | None = None,
    key: Array | None = None,
) -> tuple[Array, Array, Tree]:
    """Return class tokens [B, V, F], patches [B, V, P, F] and batch_stats.

    Args:
        network: that has `tokens`.
        params: "network", and "mask_token" where there are masks.
        batch_stats: of the network.
        images: views of one size, float [B, V, H, W, C].
        train: whether the network draws, and statistics of a batch are its own.
        masks: bool [B, V, rows, columns], patches that the mask token replaces.
        key: for networks that draw in training.
    """
    assert network.tokens is not None  # `MethodSpec.needs_patches` is checked before
    # B stays the leading axis, and with it the way that the batch is dealt out.
    tokens, patches, batch_stats = network.tokens(
        params["network"],
        batch_stats,
        images.reshape(-1, *images.shape[2:]),
        train=train,
        key=key,
        mask=None if masks is None else masks.reshape(-1, *masks.shape[2:]),
        mask_token=None if masks is None else params["mask_token"],
    )
    shape = images.shape[:2]
    return (
        tokens.reshape(*shape, *tokens.shape[1:]),
        patches.reshape(*shape, *patches.shape[1:]),
        batch_stats,
    )


def project_tokens(network: Network, params: Tree, tokens: Array) -> Array:
    """Return embeddings of length 1, [..., D], of tokens [..., F], by "network"'s head.

    They are float32 or wider whatever the backbone computes in.
    """
    assert network.project is not None
    wide = tokens.astype(jnp.promote_types(tokens.dtype, jnp.float32))
    embeddings = network.project(params["network"], wide.reshape(-1, wide.shape[-1]))
    return unit(embeddings).reshape(*tokens.shape[:-1], -1)


def project_patches(network: Network, params: Tree, patches: Array) -> Array:
    """Return the same of patches, by "patch_head" where there is one."""
    if "patch_head" in params:
        params = {"network": {"head": params["patch_head"]}}
    return project_tokens(network, params, patches)
