"""What methods share: views as the recipe makes them, and one network on all."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.augment.recipes import Recipe
from bmjax.types import Batch, Network, Tree, Views

PROJECTIONS = ("linear", "mlp", "mlp_bn", "mlp_gelu")  # heads that give embeddings


def make_views(recipe: Recipe) -> Callable[[Array, Batch], Views]:
    """Return `Method.views`: all views of the recipe, with the labels."""

    def views(key, batch):
        return Views(images=recipe(key, batch.pixels), labels=batch.labels)

    return views


def make_predict(network: Network) -> Callable[[Tree, Tree, Array], dict[str, Array]]:
    """Return `Method.predict`: features, and what the head and a classifier give."""

    def predict(params, batch_stats, images):
        outputs, _ = network.apply(params["network"], batch_stats, images, train=False)
        return {
            k: outputs[k] for k in ("features", "embeddings", "logits") if k in outputs
        }

    return predict


def unit(vectors: Array, *, axis: int = -1) -> Array:
    """Scale to length 1; a zero vector stays zero, with a finite gradient."""
    square = jnp.sum(vectors**2, axis=axis, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(square, 1e-24))


def embed_views(
    network: Network,
    params: Tree,
    batch_stats: Tree,
    images: tuple[Array, ...],
    *,
    key: Array | None = None,
    normalize: bool = True,
) -> tuple[Array, Tree]:
    """Return embeddings [B, V, D], V over all sizes in order, and batch_stats.

    One backbone pass for each size and one head pass on all, as the references; they
    are float32 or wider whatever the backbone computes in.

    Args:
        network: with a head that gives `embeddings`.
        params: of the network.
        batch_stats: of the network.
        images: each float [B, views of this size, H, W, C].
        key: for networks that draw in training; None: they draw nothing.
        normalize: scale each embedding to length 1; False leaves them as the head
            gives them.
    """
    # B stays the leading axis, and with it the way that the batch is dealt out.
    flat = tuple(i.reshape(-1, *i.shape[2:]) for i in images)
    outputs, batch_stats = network.apply(params, batch_stats, flat, train=True, key=key)
    raw = outputs["embeddings"]
    raw = raw.astype(jnp.promote_types(raw.dtype, jnp.float32))
    batch, dim = images[0].shape[0], raw.shape[-1]
    pieces, start = [], 0
    for size in flat:
        piece = raw[start : start + size.shape[0]]
        pieces.append(piece.reshape(batch, -1, dim))
        start += size.shape[0]
    embeddings = jnp.concatenate(pieces, axis=1)
    return unit(embeddings) if normalize else embeddings, batch_stats
