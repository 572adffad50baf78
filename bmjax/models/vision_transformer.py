"""The vision transformer, from images to tokens and features; families are its specs.

Sources: Dosovitskiy et al. 2021; Oquab et al. 2023 (DINOv2); Darcet et al. 2023
(registers); Siméoni et al. 2025 (DINOv3). Blocks are pre-norm.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.errors import ConfigError
from bmjax.models.attention import CLASS_ATTENTION
from bmjax.models.family import Family, ParamPath
from bmjax.models.init import Constant, Normal
from bmjax.models.positions import resample_positions
from bmjax.models.preprocessing import Preprocessing
from bmjax.models.rope import RotaryPositions
from bmjax.models.transformer_layers import STD, Block, PatchEmbed, TokenNorm

# How many last blocks give class tokens, and whether the mean patch stands behind them.
_POOLED = {
    "cls": (1, False),
    "patch_mean": (0, True),
    "cls_patch_mean": (1, True),
    "cls4_patch_mean": (4, True),  # HemaHier's flat baseline
}
POOLINGS = tuple(_POOLED)


class VitSpec(NamedTuple):
    """What tells one vision transformer from another.

    Attributes:
      width: of a token, F.
      depth: blocks.
      heads: of the attention; they share the width.
      patch: pixels.
      size: pixels of the images that learned positions are made for.
      epsilon: of layer normalizations.
      mlp: one of `MLPS`.
      layer_scale: where the factors of branches begin; 0: there are none.
      registers: tokens behind the class token that stand for no patch.
      class_std: of the initial class token.
      register_std: of the initial registers.
      rotary: positions turn queries and keys; else they are learned and added.
      key_bias: whether the keys have one.
      interpolation: of learned positions, one of `INTERPOLATIONS`.
      pooling: tokens to features, one of `POOLINGS`.
      drop_path: probability that an image skips a branch in training (Huang 2016).
      drop_path_rises: from 0 in the first block to that in the last; else the same in
        all.
    """

    width: int
    depth: int
    heads: int
    patch: int = 16
    size: int = 224
    epsilon: float = 1e-6
    mlp: str = "gelu"
    layer_scale: float = 0.0
    registers: int = 0
    class_std: float = 1e-6
    register_std: float = 1e-6
    rotary: bool = False
    key_bias: bool = True
    interpolation: str = "size_antialias"
    pooling: str = "cls"
    drop_path: float = 0.0
    drop_path_rises: bool = True


class TokenOutputs(NamedTuple):
    """What a vision transformer knows of images besides their features.

    Attributes:
      class_tokens: [B, n, F] behind the last n blocks, the last block's last, each
        behind the last normalization.
      registers: [B, registers, F], normed.
      patches: [B, rows, columns, F], normed.
      class_attention: [B, heads, rows, columns] of the class token on the patches in
        the last block; a head's sum is 1 with what goes to the other tokens.
    """

    class_tokens: Array
    registers: Array
    patches: Array
    class_attention: Array


class VisionTransformer(nn.Module):
    """The backbone."""

    spec: VitSpec
    dtype: Any = jnp.float32  # of the activations; parameters are kept in float32
    remat: bool = False

    def __call__(self, images: Array, *, train: bool) -> Array:
        """Maps images [B, H, W, C] to features in float32 or wider.

        They are [B, F], or wider where the pooling puts several together; see
        `pool_tokens`.
        """
        last = max(_POOLED[self.spec.pooling][0], 1)
        normed = self._blocks(images, train, None, last=last)
        return pool_tokens(normed, self.spec.pooling, self.spec.registers)

    def tokens(self, images: Array, *, train: bool, mask: Array | None = None) -> Array:
        """Maps images [B, H, W, C] to normed tokens [B, 1 + registers + patches, F].

        The class token is the first, then the registers, then the patches in reading
        order; float32 or wider.

        Args:
          images: float.
          train: whether branches are dropped.
          mask: bool [B, H / patch, W / patch], patches that the mask token replaces.
            Only where it is given is there such a parameter.
        """
        return self._blocks(images, train, mask, last=1)[0]

    def inside(self, images: Array, *, last: int = 1) -> TokenOutputs:
        """Returns what the network knows besides features, without training.

        Called with "intermediates" as a mutable collection, as `read_tokens` does; else
        the attention is not there.

        Args:
          images: float [B, H, W, C].
          last: blocks whose class tokens are returned.
        """
        normed = self._blocks(images, False, None, last=last)
        rows, columns = (side // self.spec.patch for side in images.shape[1:3])
        begin = 1 + self.spec.registers
        final = self.variables["intermediates"][f"blocks_{self.spec.depth - 1}"]
        attention = final["attn"][CLASS_ATTENTION][0][:, :, begin:]
        return TokenOutputs(
            class_tokens=jnp.stack([tokens[:, 0] for tokens in normed], axis=1),
            registers=normed[-1][:, 1:begin],
            patches=normed[-1][:, begin:].reshape(
                len(images), rows, columns, self.spec.width
            ),
            class_attention=attention.reshape(*attention.shape[:2], rows, columns),
        )

    @nn.compact
    def _blocks(
        self, images: Array, train: bool, mask: Array | None, last: int
    ) -> list[Array]:
        """Returns the normed tokens behind each of the last blocks."""
        spec = self.spec
        embed = PatchEmbed(spec.width, spec.patch, name="patch_embed")
        patches = embed(images.astype(self.dtype))
        rows, columns = patches.shape[1:3]
        rotation = None
        if spec.rotary:
            rotary = RotaryPositions(spec.width // spec.heads, name="rope_embed")
            rotation = rotary(rows, columns)
        tokens = self._with_prefix(patches, mask)
        kind = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        kept = []
        for index in range(spec.depth):
            share = index / max(spec.depth - 1, 1) if spec.drop_path_rises else 1
            block = kind(
                heads=spec.heads,
                drop_path=spec.drop_path * share,
                epsilon=spec.epsilon,
                mlp=spec.mlp,
                layer_scale=spec.layer_scale,
                key_bias=spec.key_bias,
                name=f"blocks_{index}",
            )
            tokens = block(tokens, train, rotation)
            kept.append(tokens)
        norm = TokenNorm(spec.epsilon, name="norm")
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return [norm(tokens).astype(wide) for tokens in kept[-last:]]

    def _with_prefix(self, patches: Array, mask: Array | None) -> Array:
        """Puts class token and registers before the patches, with learned positions.

        Registers have no position.
        """
        spec = self.spec
        batch, rows, columns, width = patches.shape

        def token(name: str, std: float, count: int = 1) -> Array:
            values = self.param(name, Normal(std), (1, count, width))
            return jnp.broadcast_to(values.astype(self.dtype), (batch, count, width))

        if mask is not None:
            # Files have it as [1, F]; two axes are turned as a kernel's are.
            masked = self.param("mask_token", Constant(0.0), (width, 1))
            masked = masked.astype(self.dtype).reshape(1, 1, 1, width)
            patches = jnp.where(mask[..., None], masked, patches)
        patches = patches.reshape(batch, rows * columns, width)
        tokens = jnp.concatenate([token("class_token", spec.class_std), patches], 1)
        if not spec.rotary:
            side = spec.size // spec.patch
            shape = (1, 1 + side**2, width)
            positions = self.param("positions", Normal(STD), shape)
            positions = resample_positions(positions, rows, columns, spec.interpolation)
            tokens = tokens + positions.astype(self.dtype)
        if not spec.registers:
            return tokens
        registers = token("registers", spec.register_std, spec.registers)
        return jnp.concatenate([tokens[:, :1], registers, tokens[:, 1:]], axis=1)


def pool_tokens(normed: list[Array], pooling: str, registers: int) -> Array:
    """Makes features of normed tokens.

    Args:
      normed: behind each of the last blocks, as many as the pooling needs, float
        [B, 1 + registers + patches, F].
      pooling: one of `POOLINGS`.
      registers: how many stand before the patches; they have no part in features.

    Returns:
      float [B, F]; [B, 2 F] of "cls_patch_mean", the class token first; [B, 5 F] of
      "cls4_patch_mean", the class tokens of four blocks in their order first.
    """
    blocks, with_patches = _POOLED[pooling]
    parts = [tokens[:, 0] for tokens in normed[len(normed) - blocks :]]
    if with_patches:
        parts.append(normed[-1][:, 1 + registers :].mean(axis=1))
    return jnp.concatenate(parts, axis=-1)


_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "class_token": "cls_token",
    "positions": "pos_embed",
}
# With those of parts that some networks have and others do not.
_ROOTS = (
    *("cls_token", "pos_embed", "rope_embed", "patch_embed", "blocks", "norm"),
    *("register_tokens", "storage_tokens", "reg_token", "dist_token", "norm_pre"),
)
_TOKENS = ("class_token", "positions", "registers", "mask_token", "patch_embed")


def make_family(
    title: str,
    specs: Mapping[str, VitSpec],
    *,
    first_entry: str,
    registers: str = "",
    preprocessing: Callable[[VitSpec], Preprocessing],
) -> Family:
    """Makes the record of a family of vision transformers.

    Args:
      title: as in `Family`.
      specs: by name.
      first_entry: as in `Family`.
      registers: how the entry of the registers is called; "" where there are none.
      preprocessing: as in `Family`.
    """
    leaves = {**_LEAVES, "registers": registers}

    def entry(path: ParamPath) -> str:
        """Names an entry as the authors do: ("blocks_0", "attn", "qkv", "kernel")."""
        *modules, leaf = path
        if modules == ["patch_embed"]:
            modules = ["patch_embed", "proj"]
        if modules:
            modules[0] = re.sub(r"^blocks_(\d+)$", r"blocks.\1", modules[0])
        return ".".join((*modules, leaves.get(leaf, leaf)))

    return Family(
        title=title,
        specs=specs,
        build=_build,
        feature_dim=_feature_dim,
        first_entry=first_entry,
        entry=entry,
        backbone_roots=_ROOTS,
        classifier="head",
        size_multiple=lambda spec: spec.patch,
        layer=_layer,
        poolings=POOLINGS,
        interpolation=lambda spec: "" if spec.rotary else spec.interpolation,
        preprocessing=lambda spec: _at_most(preprocessing(spec), spec.size),
        drops_branches=True,
    )


def _at_most(preprocessing: Preprocessing, size: int) -> Preprocessing:
    """Small networks, for tests, have positions for smaller images."""
    return preprocessing._replace(size=min(preprocessing.size, size))


def _build(spec: VitSpec, *, lowering: str, dtype: Any, remat: bool, name: str):
    del lowering  # of convolutions: it has none
    return VisionTransformer(spec, dtype, remat, name=name)


def _feature_dim(spec: VitSpec) -> int:
    blocks, with_patches = _POOLED[spec.pooling]
    if blocks > spec.depth:
        raise ConfigError(
            f"config.model.pooling = {spec.pooling!r} takes the class tokens of "
            f"{blocks} blocks, and this network has {spec.depth}; use 'cls_patch_mean'"
        )
    return (blocks + with_patches) * spec.width


def _layer(spec: VitSpec, path: ParamPath) -> tuple[int, int]:
    """Counts embeddings as layer 0 and the last normalization as one with the heads."""
    last = spec.depth + 1
    if path[0] in _TOKENS:
        return 0, last
    block = re.fullmatch(r"blocks_(\d+)", path[0])
    return (int(block[1]) + 1 if block else last), last
