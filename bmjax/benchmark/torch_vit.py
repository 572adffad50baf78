"""The peer's vision transformer in plain PyTorch. Imports torch alone.

Pre-norm blocks with PyTorch's own fused attention, as timm and facebookresearch/dinov2
have them: learned positions of the measured size, a class token, registers and
LayerScale where the specification asks for them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TorchVit(nn.Module):
    """Patches, blocks, the normed class token."""

    def __init__(self, spec: dict, size: int):
        super().__init__()
        width, patch = spec["width"], spec["patch"]
        self.features = width
        self.patch_embed = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(
            torch.randn(1, 1 + (size // patch) ** 2, width) * 0.02
        )
        self.registers = None
        if spec["registers"]:
            self.registers = nn.Parameter(torch.zeros(1, spec["registers"], width))
        blocks = [TorchBlock(spec) for _ in range(spec["depth"])]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width, spec["epsilon"])

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] in, features [B, F] out."""
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)
        count = len(images)
        tokens = torch.cat([self.class_token.expand(count, -1, -1), patches], 1)
        tokens = tokens + self.positions
        if self.registers is not None:
            registers = self.registers.expand(count, -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
        return self.norm(self.blocks(tokens))[:, 0]


class TorchBlock(nn.Module):
    """Attention and MLP, each normalized before and added to what came in."""

    def __init__(self, spec: dict):
        super().__init__()
        width = spec["width"]
        self.norm1 = nn.LayerNorm(width, spec["epsilon"])
        self.attention = TorchAttention(width, spec["heads"])
        self.norm2 = nn.LayerNorm(width, spec["epsilon"])
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scales = None
        if spec["layer_scale"]:
            self.scales = nn.Parameter(torch.full((2, width), spec["layer_scale"]))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, T, F] in, the same shape out."""
        first, second = (1.0, 1.0) if self.scales is None else self.scales
        tokens = tokens + first * self.attention(self.norm1(tokens))
        return tokens + second * self.mlp(self.norm2(tokens))


class TorchAttention(nn.Module):
    """Queries, keys and values in one product; the rest is PyTorch's."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, T, F] in, the same shape out."""
        batch, count, width = tokens.shape
        parts = self.qkv(tokens).reshape(batch, count, 3, self.heads, -1)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, width))
