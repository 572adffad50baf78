"""The layers that all vision transformers share, from patches to blocks.

Constants are timm's and those of facebookresearch/dinov2 and dinov3: biases on queries,
keys and values, GELU by the error function, kernels that begin normal with deviation
0.02.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.errors import ConfigError
from bmjax.models.attention import Attention
from bmjax.models.heads import Dense
from bmjax.models.init import Constant, FanIn
from bmjax.models.no_inline import computed_once, gradient_computed_once
from bmjax.models.rope import Rotation

STD = 0.02  # of initial kernels and positions; timm, dinov2, dinov3
MLPS = ("gelu", "swiglu_joint", "swiglu")


def gelu(values: Array) -> Array:
    """torch.nn.GELU's own, x (1 + erf(x / sqrt 2)) / 2, in float32 or wider.

    Not jax.nn.gelu: it takes erfc, whose three loops are a tenth of a step on a CPU.
    """
    wide = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    share = 0.5 * (1 + jax.lax.erf(wide * math.sqrt(0.5)))
    return (wide * share).astype(values.dtype)


class TokenNorm(nn.Module):
    """Layer normalization in float32 or wider, its outputs in the type of its inputs.

    The formula is that of flax.linen.LayerNorm. flax multiplies the factor of each
    token by that of each feature first, which is one more pass over an array as large
    as the tokens.
    """

    epsilon: float

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Maps [..., F] to the same shape."""
        shape = (1,) * (tokens.ndim - 1) + tokens.shape[-1:]
        scale = self.param("scale", Constant(1.0), shape[-1:]).reshape(shape)
        bias = self.param("bias", Constant(0.0), shape[-1:]).reshape(shape)
        wide = tokens.astype(jnp.promote_types(tokens.dtype, jnp.float32))
        centered = wide - wide.mean(axis=-1, keepdims=True)
        variance = (centered**2).mean(axis=-1, keepdims=True)
        normed = centered * jax.lax.rsqrt(variance + self.epsilon)
        return (normed * scale + bias).astype(tokens.dtype)


class PatchEmbed(nn.Module):
    """Cuts images into patches and maps each to a token."""

    width: int
    patch: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """Maps [B, H, W, C] to tokens [B, H / patch, W / patch, width]."""
        batch, height, width, channels = images.shape
        side = self.patch
        if height % side or width % side:
            raise ConfigError(
                f"images of {height} x {width} pixels do not divide into patches of "
                f"{side}; set config.data.size, config.augment.large_size and "
                f"config.augment.small_size to multiples of {side}"
            )
        begins = FanIn(side * side * channels)  # torch's Conv2d; timm leaves it
        shape = (side, side, channels, self.width)
        kernel = self.param("kernel", begins, shape).astype(images.dtype)
        bias = self.param("bias", begins, (self.width,)).astype(images.dtype)
        # A convolution whose windows do not overlap is one matrix product.
        patches = images.reshape(
            batch, height // side, side, width // side, side, channels
        )
        tokens = jnp.einsum("byixjc,ijcf->byxf", patches, kernel)
        return tokens + bias.reshape(1, 1, 1, -1)


class Mlp(nn.Module):
    """Two dense layers, the hidden one four times as wide, on each token alone."""

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Maps [B, T, F] to the same shape."""
        width = tokens.shape[-1]
        hidden = gradient_computed_once(Dense(4 * width, std=STD, name="fc1")(tokens))
        return Dense(width, std=STD, name="fc2")(gelu(hidden))


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer 2020) on each token: silu(first) * second, and a last layer.

    DINOv2 has the first two layers in one, and makes the hidden width two thirds of
    4 F, up to a multiple of eight. DINOv3 has them apart, and 4 F.
    """

    joint: bool  # DINOv2's

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Maps [B, T, F] to the same shape."""
        width = tokens.shape[-1]
        if self.joint:
            hidden = (4 * width * 2 // 3 + 7) // 8 * 8
            both = Dense(2 * hidden, std=STD, name="w12")(tokens)
            first, second = jnp.split(both, 2, axis=-1)
        else:
            first = Dense(4 * width, std=STD, name="w1")(tokens)
            second = Dense(4 * width, std=STD, name="w2")(tokens)
        return Dense(width, std=STD, name="w3")(jax.nn.silu(first) * second)


class LayerScale(nn.Module):
    """A factor for each number of a branch (Touvron et al. 2021, CaiT)."""

    begin: float

    @nn.compact
    def __call__(self, branch: Array) -> Array:
        """Maps [B, T, F] to the same shape."""
        gamma = self.param("gamma", Constant(self.begin), branch.shape[-1:])
        return branch * gamma.astype(branch.dtype).reshape(1, 1, -1)


class Block(nn.Module):
    """Attention and MLP, each normalized before and added to what came in."""

    heads: int
    drop_path: float  # probability that an image skips a branch in training
    epsilon: float
    mlp: str = "gelu"  # one of MLPS
    layer_scale: float = 0.0  # where its factors begin; 0: there are none
    key_bias: bool = True

    @nn.compact
    def __call__(
        self, tokens: Array, train: bool, rotation: Rotation | None = None
    ) -> Array:
        """Maps [B, T, F] to the same shape."""
        attention = Attention(self.heads, STD, self.key_bias, name="attn")
        if self.mlp == "gelu":
            mlp = Mlp(name="mlp")
        else:
            mlp = GatedMlp(self.mlp == "swiglu_joint", name="mlp")
        branch = attention(TokenNorm(self.epsilon, name="norm1")(tokens), rotation)
        tokens = computed_once(tokens + self._drop(self._scale(branch, "ls1"), train))
        branch = mlp(TokenNorm(self.epsilon, name="norm2")(tokens))
        return computed_once(tokens + self._drop(self._scale(branch, "ls2"), train))

    def _scale(self, branch: Array, name: str) -> Array:
        if not self.layer_scale:
            return branch
        return LayerScale(self.layer_scale, name=name)(branch)

    def _drop(self, branch: Array, train: bool) -> Array:
        """Leaves a branch out for some images, and makes up for it in the others."""
        if not train or not self.drop_path or not self.has_rng("network"):
            return branch
        keep = 1 - self.drop_path
        shape = (branch.shape[0], 1, 1)
        kept = jax.random.bernoulli(self.make_rng("network"), keep, shape)
        return jnp.where(kept, branch / keep, 0.0)
