"""The plain vision transformer, as timm lays it out, from images to the class token.

Sources: Dosovitskiy et al. 2021; Steiner et al. 2022 for the small sizes. Blocks are
pre-norm; positions are learned; there is neither LayerScale nor a register. Constants
are timm's: biases on queries, keys and values, GELU by the error function, layer
normalization with epsilon 1e-6, initial values of `init_weights_vit_timm`.
"""

import math
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.errors import ConfigError
from bmjax.models.family import Family, ParamPath
from bmjax.models.heads import Dense
from bmjax.models.init import Constant, FanIn, Normal

_EPSILON = 1e-6  # of layer normalization; timm
_STD = 0.02  # of kernels and positions; timm
_CLASS_STD = 1e-6  # of the class token; timm


class VitSpec(NamedTuple):
    """What tells one vision transformer from another."""

    width: int  # of a token: F
    depth: int  # blocks
    heads: int  # of the attention; they share the width
    patch: int = 16  # pixels
    size: int = 224  # pixels of the images that positions are made for
    drop_path: float = 0.0  # of the last block's branches in training (Huang 2016)


class Norm(nn.Module):
    """Layer normalization in float32 or wider, its outputs in the type of its inputs.

    flax's, with the parameters' names and declarations of this package.
    """

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Maps [..., F] to the same shape."""
        wide = jnp.promote_types(tokens.dtype, jnp.float32)
        norm = nn.LayerNorm(
            epsilon=_EPSILON,
            dtype=wide,
            param_dtype=jnp.result_type(float),
            use_fast_variance=False,
            scale_init=Constant(1.0),
            bias_init=Constant(0.0),
        )
        nn.share_scope(self, norm)
        return norm(tokens).astype(tokens.dtype)


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


class Attention(nn.Module):
    """Every token looks at every token, in several heads."""

    heads: int

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Maps [B, T, F] to the same shape."""
        batch, count, width = tokens.shape
        parts = Dense(3 * width, std=_STD, name="qkv")(tokens)
        parts = parts.reshape(batch, count, 3, self.heads, width // self.heads)
        queries, keys, values = (parts[:, :, index] for index in range(3))
        scores = jnp.einsum("bihd,bjhd->bhij", queries, keys)
        # Not jax.nn.dot_product_attention: its softmax is float32 where all is float64.
        wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        weights = jax.nn.softmax(wide / math.sqrt(width // self.heads))
        mixed = jnp.einsum("bhij,bjhd->bihd", weights.astype(values.dtype), values)
        return Dense(width, std=_STD, name="proj")(mixed.reshape(batch, count, width))


class Mlp(nn.Module):
    """Two dense layers, the hidden one four times as wide, on each token alone."""

    @nn.compact
    def __call__(self, tokens: Array) -> Array:
        """Maps [B, T, F] to the same shape."""
        width = tokens.shape[-1]
        hidden = Dense(4 * width, std=_STD, name="fc1")(tokens)
        hidden = jax.nn.gelu(hidden, approximate=False)
        return Dense(width, std=_STD, name="fc2")(hidden)


class Block(nn.Module):
    """Attention and MLP, each normalized before and added to what came in."""

    heads: int
    drop_path: float  # probability that an image skips a branch in training

    @nn.compact
    def __call__(self, tokens: Array, train: bool) -> Array:
        """Maps [B, T, F] to the same shape."""
        branch = Attention(self.heads, name="attn")(Norm(name="norm1")(tokens))
        tokens = tokens + self._drop(branch, train)
        branch = Mlp(name="mlp")(Norm(name="norm2")(tokens))
        return tokens + self._drop(branch, train)

    def _drop(self, branch: Array, train: bool) -> Array:
        """Leaves a branch out for some images, and makes up for it in the others."""
        if not train or not self.drop_path:
            return branch
        keep = 1 - self.drop_path
        shape = (branch.shape[0], 1, 1)
        kept = jax.random.bernoulli(self.make_rng("network"), keep, shape)
        return jnp.where(kept, branch / keep, 0.0)


class VisionTransformer(nn.Module):
    """The backbone. Its features are the class token behind the last normalization."""

    spec: VitSpec
    dtype: Any = jnp.float32  # of the activations; parameters are kept in float32
    remat: bool = False

    def __call__(self, images: Array, *, train: bool) -> Array:
        """Maps images [B, H, W, C] to features [B, F] in float32 or wider."""
        return self.tokens(images, train=train)[:, 0]

    @nn.compact
    def tokens(self, images: Array, *, train: bool) -> Array:
        """Maps images [B, H, W, C] to normed tokens [B, 1 + patches, F].

        The class token is the first, the patches follow in reading order.
        """
        spec = self.spec
        embed = PatchEmbed(spec.width, spec.patch, name="patch_embed")
        patches = embed(images.astype(self.dtype))
        batch, rows, columns, width = patches.shape
        token = self.param("class_token", Normal(_CLASS_STD), (1, 1, width))
        side = spec.size // spec.patch
        shape = (1, 1 + side**2, width)
        positions = self.param("positions", Normal(_STD), shape)
        positions = resample_positions(positions, rows, columns)
        token = jnp.broadcast_to(token.astype(self.dtype), (batch, 1, width))
        patches = patches.reshape(batch, rows * columns, width)
        tokens = jnp.concatenate([token, patches], axis=1)
        tokens = tokens + positions.astype(self.dtype)
        kind = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        for index in range(spec.depth):
            drop = spec.drop_path * index / max(spec.depth - 1, 1)
            tokens = kind(spec.heads, drop, name=f"blocks_{index}")(tokens, train)
        tokens = Norm(name="norm")(tokens)
        return tokens.astype(jnp.promote_types(tokens.dtype, jnp.float32))


def resample_positions(positions: Array, rows: int, columns: int) -> Array:
    """Resamples learned positions for another number of patches.

    As timm's `resample_abs_pos_embed`: bicubic (a = -0.5), with antialiasing; where the
    number is that of the positions they come back as they are.

    Args:
      positions: float [1, 1 + side ** 2, F], that of the class token first.
      rows: patches from top to bottom.
      columns: patches from left to right.

    Returns:
      float [1, 1 + rows * columns, F].
    """
    count, width = positions.shape[1] - 1, positions.shape[2]
    side = round(count**0.5)
    if (rows, columns) == (side, side):
        return positions
    grid = positions[:, 1:].reshape(1, side, side, width)
    grid = jax.image.resize(grid, (1, rows, columns, width), "cubic", antialias=True)
    patches = grid.reshape(1, rows * columns, width)
    return jnp.concatenate([positions[:, :1], patches], axis=1)


_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "class_token": "cls_token",
    "positions": "pos_embed",
}


def _entry(path: ParamPath) -> str:
    """Names an entry as timm does: ("blocks_0", "attn", "qkv", "kernel")."""
    *modules, leaf = path
    if modules == ["patch_embed"]:
        modules = ["patch_embed", "proj"]
    if modules:
        modules[0] = re.sub(r"^blocks_(\d+)$", r"blocks.\1", modules[0])
    return ".".join((*modules, _LEAVES.get(leaf, leaf)))


def _layer(spec: VitSpec, path: ParamPath) -> tuple[int, int]:
    """Counts embeddings as layer 0 and the last normalization as one with the heads."""
    last = spec.depth + 1
    if path[0] in ("class_token", "positions", "patch_embed"):
        return 0, last
    block = re.fullmatch(r"blocks_(\d+)", path[0])
    return (int(block[1]) + 1 if block else last), last


def _build(spec: VitSpec, *, lowering: str, dtype: Any, remat: bool, name: str):
    del lowering  # of convolutions: it has none
    return VisionTransformer(spec, dtype, remat, name=name)


VITS = Family(
    title="vision transformer",
    specs={
        # timm's.
        "vit_tiny_patch16_224": VitSpec(width=192, depth=12, heads=3),
        "vit_small_patch16_224": VitSpec(width=384, depth=12, heads=6),
        "vit_base_patch16_224": VitSpec(width=768, depth=12, heads=12),
        # Ours, for tests: two blocks, positions of four patches.
        "vit_tiny": VitSpec(width=16, depth=2, heads=2, patch=8, size=16),
    },
    build=_build,
    feature_dim=lambda spec: spec.width,
    first_entry="patch_embed.proj.weight",
    entry=_entry,
    backbone_roots=("cls_token", "pos_embed", "patch_embed", "blocks", "norm"),
    classifier="head",
    size_multiple=lambda spec: spec.patch,
    layer=_layer,
)
