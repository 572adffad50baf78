"""Attention among the tokens of an image."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.models.heads import Dense
from bmjax.models.no_inline import gradient_computed_once
from bmjax.models.rope import Rotation, rotate

CLASS_ATTENTION = "class_attention"  # among what a module leaves behind when asked


class Attention(nn.Module):
    """Every token looks at every token, in several heads.

    Where the collection "intermediates" can be written, the weights of the first token
    are left there, float [B, heads, T] (`CLASS_ATTENTION`).
    """

    heads: int
    std: float  # of initial kernels; biases begin at 0
    key_bias: bool = True  # False: a mask takes the keys' away

    @nn.compact
    def __call__(self, tokens: Array, rotation: Rotation | None = None) -> Array:
        """Maps [B, T, F] to the same shape; the rotation is of the last tokens."""
        batch, count, width = tokens.shape
        mask = () if self.key_bias else (1.0, 0.0, 1.0)  # of queries, keys, values
        parts = Dense(3 * width, std=self.std, bias_mask=mask, name="qkv")(tokens)
        parts = gradient_computed_once(parts)
        parts = parts.reshape(batch, count, 3, self.heads, width // self.heads)
        # All in one: three transpositions of their own take longer on a CPU.
        queries, keys, values = parts.transpose(2, 0, 3, 1, 4)
        if rotation is not None:
            queries, keys = rotate(queries, rotation), rotate(keys, rotation)
        if self.is_mutable_collection("intermediates"):
            weights = _weights(queries[:, :, :1], keys)
            self.sow("intermediates", CLASS_ATTENTION, weights[:, :, 0])
        weights = _weights(queries, keys).astype(values.dtype)
        mixed = jnp.einsum("bhij,bhjd->bhid", weights, values)
        mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, count, width)
        return Dense(width, std=self.std, name="proj")(mixed)


def _weights(queries: Array, keys: Array) -> Array:
    """Weights [B, heads, I, J] of queries [B, heads, I, d] on keys [B, heads, J, d].

    The queries are scaled, as in facebookresearch/dinov2, and not the scores, which
    are more. Not jax.nn.dot_product_attention: its softmax is float32 where all is
    float64, and it is no faster on a CPU (docs/cpu-speed.md).
    """
    scaled = queries / math.sqrt(queries.shape[-1])
    scores = jnp.einsum("bhid,bhjd->bhij", scaled, keys)
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    return jax.nn.softmax(wide)
