"""Weights and images of vision transformers that are rebuilt from names alone.

The recorded numbers in tests/golden/vit_*.npz are those of the authors' own code
(facebookresearch/dinov2, facebookresearch/dinov3, timm) on these, in float64. Each
entry of a state dict is drawn by numpy's PCG64, seeded as in `golden_weights`, as
standard normal values x of its shape in torch's layout, and scaled by what it is:

    factors of LayerScale       0.5 + 0.1 x
    scales of normalizations    1 + 0.2 x
    biases                      0.05 x
    tokens and positions        0.1 x
    all other weights           0.04 x

DINOv3's periods and masks of biases are not drawn.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import meta
from flax.traverse_util import flatten_dict, unflatten_dict

from bmjax.models.families import NETWORKS, family_of
from bmjax.models.vision_transformer import VisionTransformer
from tests.helpers.golden_weights import generator

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENS = (
    "cls_token",
    "reg_token",
    "register_tokens",
    "storage_tokens",
    "mask_token",
    "pos_embed",
)


def vit_weight(network: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Rebuild one entry of a state dict, float32."""
    if name.endswith("periods"):
        (count,) = shape
        return (100.0 ** (np.arange(count) / count)).astype(np.float32)
    if name.endswith("bias_mask"):
        return np.repeat(np.float32([1, 0, 1]), shape[0] // 3)
    drawn = generator("weights", network, name).standard_normal(shape)
    if name.endswith("gamma"):
        return (0.5 + 0.1 * drawn).astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        return (1 + 0.2 * drawn).astype(np.float32)
    if name.endswith("bias"):
        return (0.05 * drawn).astype(np.float32)
    share = 0.1 if name in TOKENS else 0.04
    return (share * drawn).astype(np.float32)


def vit_images(case: str, shape: tuple[int, ...]) -> np.ndarray:
    """Rebuild images [B, H, W, C], float32, for a shape in torch's order."""
    drawn = generator("input", case).standard_normal(shape)
    return drawn.astype(np.float32).transpose(0, 2, 3, 1)


def vit_record(network: str):
    """The recorded numbers of a network."""
    return np.load(GOLDEN / f"vit_{network}.npz")


def vit_entries(network: str) -> dict[str, np.ndarray]:
    """Rebuild a network's state dict, as its record lists it."""
    shapes = json.loads(str(vit_record(network)["state_dict"]))
    return {
        name: vit_weight(network, name, tuple(shape)) for name, shape in shapes.items()
    }


def backbone_shapes(network: str, *, masked: bool = False, **changed):
    """The variables of a backbone, as shapes.

    With `masked` the mask token is among them.
    """
    spec = NETWORKS[network]._replace(**changed)
    side = spec.patch
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    mask = jax.ShapeDtypeStruct((1, 1, 1), jnp.bool) if masked else None
    module = VisionTransformer(spec)

    def init(key, images, mask):
        return module.init(key, images, train=False, mask=mask, method="tokens")

    return meta.unbox(jax.eval_shape(init, jax.random.key(0), images, mask))


def golden_variables(network: str) -> dict:
    """A backbone's variables with the recorded network's values, float64."""
    entries, entry_of = vit_entries(network), family_of(network).entry
    turned = {4: (2, 3, 1, 0), 2: (1, 0)}
    return {
        tree: unflatten_dict(
            {
                path: jnp.asarray(
                    (array := entries[entry_of(path)]).transpose(
                        turned.get(array.ndim, range(array.ndim))
                    ),
                    jnp.float64,
                )
                for path in flatten_dict(leaves)
            }
        )
        for tree, leaves in backbone_shapes(network).items()
    }
