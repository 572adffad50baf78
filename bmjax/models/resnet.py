"""Residual networks as torchvision lays them out, from images to pooled features.

Sources: He et al. 2016 (ResNet), Xie et al. 2017 (ResNeXt). Of the variants in use this
is "v1.5": in a bottleneck the stride sits on the 3x3 convolution. Padding is symmetric,
as in torch; `SAME` would shift every even-sized feature map by one pixel.
"""

import re
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.models.conv.dispatch import convolve
from bmjax.models.family import Family, ParamPath
from bmjax.models.init import fan_out
from bmjax.models.norm import BatchNorm
from bmjax.models.pool import max_pool

FEATURE_MAP = "feature_map"  # among what a module leaves behind when asked


class ResNetSpec(NamedTuple):
    """What tells one residual network from another."""

    stage_sizes: tuple[int, ...]  # blocks in each stage; a stage doubles the channels
    bottleneck: bool = False
    groups: int = 1  # of the 3x3 convolution in a bottleneck
    group_width: int = 64  # channels per group in the first stage
    width: int = 64  # channels of the stem; the first stage's basic width
    small_stem: bool = False  # 3x3, stride 1, no pooling: for images of 32 pixels

    @property
    def expansion(self) -> int:
        """Output channels of a block over the basic width of its stage."""
        return 4 if self.bottleneck else 1


class Conv(nn.Module):
    """A convolution without bias, padded so that stride 1 keeps the image's size."""

    channels: int
    size: int  # height and width of the kernel, odd
    stride: int = 1
    groups: int = 1
    lowering: str = "auto"

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """Maps [B, H, W, C] to [B, H', W', channels]."""
        inputs = images.shape[-1] // self.groups
        shape = (self.size, self.size, inputs, self.channels)
        begins = fan_out(self.size, self.size, self.channels)
        kernel = self.param("kernel", begins, shape)
        return convolve(
            images,
            kernel.astype(images.dtype),
            stride=self.stride,
            padding=self.size // 2,
            groups=self.groups,
            lowering=self.lowering,
        )


class BasicBlock(nn.Module):
    """relu(shortcut(x) + bn2(conv2(relu(bn1(conv1(x))))))."""

    channels: int
    stride: int
    lowering: str

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """Maps [B, H, W, C] to [B, H / stride, W / stride, channels]."""
        hidden = Conv(
            self.channels, 3, self.stride, lowering=self.lowering, name="conv1"
        )(images)
        hidden = nn.relu(BatchNorm(name="bn1")(hidden, train=train))
        hidden = Conv(self.channels, 3, lowering=self.lowering, name="conv2")(hidden)
        hidden = BatchNorm(name="bn2")(hidden, train=train)
        return nn.relu(_shortcut(self, images, self.channels, train) + hidden)


class Bottleneck(nn.Module):
    """relu(shortcut(x) + bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))))."""

    channels: int
    inner_channels: int  # of the 3x3 convolution, all groups together
    groups: int
    stride: int
    lowering: str

    @nn.compact
    def __call__(self, images: Array, train: bool) -> Array:
        """Maps [B, H, W, C] to [B, H / stride, W / stride, channels]."""
        inner, lowering = self.inner_channels, self.lowering
        hidden = Conv(inner, 1, lowering=lowering, name="conv1")(images)
        hidden = nn.relu(BatchNorm(name="bn1")(hidden, train=train))
        hidden = Conv(inner, 3, self.stride, self.groups, lowering, name="conv2")(
            hidden
        )
        hidden = nn.relu(BatchNorm(name="bn2")(hidden, train=train))
        hidden = Conv(self.channels, 1, lowering=lowering, name="conv3")(hidden)
        # This scale starts at 1 as in torchvision; many JAX ResNets start it at 0.
        hidden = BatchNorm(name="bn3")(hidden, train=train)
        return nn.relu(_shortcut(self, images, self.channels, train) + hidden)


class ResNet(nn.Module):
    """The backbone: stem, stages of blocks, global average pooling.

    Where the collection "intermediates" can be written, what is averaged is left there,
    [B, rows, columns, F] (`FEATURE_MAP`).
    """

    spec: ResNetSpec
    lowering: str = "auto"
    dtype: Any = jnp.float32  # of the activations; parameters are kept in float32
    remat: bool = False

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Maps images [B, H, W, C] to features [B, F] in float32 or wider."""
        spec = self.spec
        hidden = images.astype(self.dtype)
        size, stride = (3, 1) if spec.small_stem else (7, 2)
        stem = Conv(spec.width, size, stride, lowering=self.lowering, name="conv1")
        hidden = nn.relu(BatchNorm(name="bn1")(stem(hidden), train=train))
        if not spec.small_stem:
            hidden = max_pool(hidden, lowering=self.lowering)
        for stage, blocks in enumerate(spec.stage_sizes):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                module = _block(spec, stage, block, stride, self.lowering, self.remat)
                hidden = module(hidden, train)
        if self.is_mutable_collection("intermediates"):
            self.sow("intermediates", FEATURE_MAP, hidden)
        wide = jnp.promote_types(hidden.dtype, jnp.float32)
        return jnp.mean(hidden, axis=(1, 2), dtype=wide)


def _block(
    spec: ResNetSpec, stage: int, block: int, stride: int, lowering: str, remat: bool
) -> nn.Module:
    """Builds one block; stages are counted from 1 in its name, as in torchvision."""
    name = f"layer{stage + 1}_{block}"
    channels = spec.width * 2**stage * spec.expansion
    kind = Bottleneck if spec.bottleneck else BasicBlock
    if remat:
        kind = nn.remat(kind, static_argnums=(2,))  # of (self, images, train)
    if not spec.bottleneck:
        return kind(channels, stride, lowering, name=name)
    inner = spec.groups * spec.group_width * 2**stage
    return kind(channels, inner, spec.groups, stride, lowering, name=name)


def _shortcut(block: Any, images: Array, channels: int, train: bool) -> Array:
    """Passes images on, through a 1x1 convolution where their shape must change."""
    if block.stride == 1 and images.shape[-1] == channels:
        return images
    hidden = Conv(
        channels, 1, block.stride, lowering=block.lowering, name="downsample_conv"
    )(images)
    return BatchNorm(name="downsample_bn")(hidden, train=train)


_DOWNSAMPLE = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
}


def _entry(path: ParamPath) -> str:
    """Names an entry as torchvision does; timm has the same names."""
    *modules, leaf = path
    modules = [_DOWNSAMPLE.get(module, module) for module in modules]
    modules[0] = re.sub(r"^(layer\d+)_(\d+)$", r"\1.\2", modules[0])
    return ".".join((*modules, _LEAVES.get(leaf, leaf)))


def _feature_dim(spec: ResNetSpec) -> int:
    return spec.width * 2 ** (len(spec.stage_sizes) - 1) * spec.expansion


def _build(spec: ResNetSpec, *, lowering: str, dtype: Any, remat: bool, name: str):
    return ResNet(spec, lowering, dtype, remat, name=name)


RESNETS = Family(
    title="ResNet or ResNeXt",
    batch_norm=True,
    specs={
        "resnet18": ResNetSpec((2, 2, 2, 2)),
        "resnet34": ResNetSpec((3, 4, 6, 3)),
        "resnet50": ResNetSpec((3, 4, 6, 3), bottleneck=True),
        "resnet101": ResNetSpec((3, 4, 23, 3), bottleneck=True),
        "resnext50_32x4d": ResNetSpec((3, 4, 6, 3), True, groups=32, group_width=4),
        "resnext101_32x8d": ResNetSpec((3, 4, 23, 3), True, groups=32, group_width=8),
        # HobbitLong/SupContrast, networks/resnet_big.py: sixteen times the pixels in
        # every stage.
        "resnet18_cifar": ResNetSpec((2, 2, 2, 2), small_stem=True),
        "resnet50_cifar": ResNetSpec((3, 4, 6, 3), bottleneck=True, small_stem=True),
        # Ours, for demonstrations on a laptop's processor.
        "resnet10_w32": ResNetSpec((1, 1, 1, 1), width=32),
        # Ours, for tests: each kind of block, with and without a stride, in two stages.
        "resnet_tiny": ResNetSpec((1, 1), width=8),
        "resnext_tiny": ResNetSpec((1, 1), True, groups=4, group_width=2, width=8),
        "resnet_tiny_cifar": ResNetSpec((1, 1), width=8, small_stem=True),
    },
    build=_build,
    feature_dim=_feature_dim,
    first_entry="layer1.0.conv1.weight",
    entry=_entry,
    backbone_roots=("conv", "bn", "layer"),
)
