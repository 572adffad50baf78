"""Weights and images of vision transformers that are rebuilt from names alone.

The recorded numbers in tests/golden/vit_*.npz are those of timm's networks on these.
Each entry of a state dict is drawn by numpy's PCG64, seeded as in `golden_weights`, as
standard normal values x of its shape in torch's layout, and scaled by what it is:

    scales of normalizations    1 + 0.2 x
    biases                      0.05 x
    tokens and positions        0.1 x
    all other weights           0.04 x
"""

import numpy as np

from tests.helpers.golden_weights import generator


def vit_weight(network: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Rebuild one entry of a state dict, float32."""
    drawn = generator("weights", network, name).standard_normal(shape)
    if "norm" in name and name.endswith("weight"):
        return (1 + 0.2 * drawn).astype(np.float32)
    if name.endswith("bias"):
        return (0.05 * drawn).astype(np.float32)
    share = 0.1 if name in ("cls_token", "pos_embed") else 0.04
    return (share * drawn).astype(np.float32)


def vit_images(case: str, shape: tuple[int, ...]) -> np.ndarray:
    """Rebuild images [B, H, W, C], float32, for a shape in torch's order."""
    drawn = generator("input", case).standard_normal(shape)
    return drawn.astype(np.float32).transpose(0, 2, 3, 1)
