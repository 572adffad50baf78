"""A network's entries as timm has them, and which of timm's models takes them.

Source: timm 1.0.31, `vision_transformer.py` and `eva.py`. What is read of such files is
in `layouts.py`. timm has no place for DINOv3's periods and computes them; the masks and
biases of keys, which are zero, it leaves out.
"""

import re
from collections.abc import Mapping

import numpy as np

from bmjax.errors import ConfigError
from bmjax.models.families import NETWORKS
from bmjax.models.vision_transformer import VitSpec

_NO_MODEL = re.compile(r".*(?:tiny|nano|_w\d+|_cifar|vitl_plus).*(?<!_224)")
_SIZES = {"s": "small", "b": "base", "l": "large", "g": "giant", "h": "huge"}


def timm_model(name: str) -> str:
    """The call that makes timm's model of a network; "" where timm has none.

    Args:
        name: one of `NETWORKS`.
    """
    spec = NETWORKS[name]
    if _NO_MODEL.fullmatch(name):
        return ""
    made, settings = name, ""
    if match := re.fullmatch(r"(?:dinov2_vit|dinobloom_)([sblg])(?:14)?(_reg)?", name):
        registers = "_reg4" if match[2] else ""
        made = f"vit_{_SIZES[match[1]]}_patch14{registers}_dinov2"
        settings = f", img_size={spec.size}"
    if match := re.fullmatch(r"dinov3_vit([sblh])(_plus)?16", name):
        made = f"vit_{_SIZES[match[1]]}{match[2] or ''}_patch16_dinov3_qkvb"
    if isinstance(spec, VitSpec):
        settings += ", global_pool='token'"
    return f"timm.create_model({made!r}, num_classes=N{settings})"


def timm_entries(entries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename, split and drop what timm has otherwise.

    Args:
        entries: under the authors' names, in torch's layouts.

    Raises:
        ConfigError: keys have a bias that timm has no place for.
    """
    given = dict(entries)
    rotary = "storage_tokens" in given
    gated = any(".mlp.w3." in name for name in given)
    if "register_tokens" in given:
        # timm gives registers no position, and the class token its own for good.
        positions = given["pos_embed"]
        given["cls_token"] = given["cls_token"] + positions[:, :1]
        given["pos_embed"] = np.ascontiguousarray(positions[:, 1:])
    found = {}
    for name, array in given.items():
        if rotary and name.endswith(".qkv.bias"):
            mask = given[f"{name}_mask"]
            queries, keys, values = np.split(array * mask, 3)
            if keys.any():
                raise ConfigError(
                    f"{name!r} has a bias of keys, which timm's DINOv3 has no place "
                    "for; leave --layout=timm out"
                )
            found[name.replace("qkv.bias", "q_bias")] = queries
            found[name.replace("qkv.bias", "v_bias")] = values
        elif not name.endswith((".bias_mask", ".periods")):
            found[_timm_name(name, rotary, gated)] = array
    return found


def _timm_name(name: str, rotary: bool, gated: bool) -> str:
    name = re.sub(r"^(?:register|storage)_tokens$", "reg_token", name)
    name = name.replace(".mlp.w12.", ".mlp.fc1.")
    if rotary:
        name = re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", name)
        name = name.replace(".mlp.w1.", ".mlp.fc1_g.").replace(
            ".mlp.w2.", ".mlp.fc1_x."
        )
    return name.replace(".mlp.w3.", ".mlp.fc2.") if gated else name
