"""A vision transformer's state dict as each of the programs that publish it has it.

Written from what timm 1.0.31 and transformers 5.24 save, apart from the library's own
code. Arrays are float32 in torch's layouts.
"""

import re

import numpy as np
from flax.traverse_util import flatten_dict

from bmjax.models.families import family_of
from bmjax.models.weight_files.torch_names import torch_shape
from tests.helpers.golden_vit import backbone_shapes, vit_weight

HEAD = {"mlp.0.weight": (8, 16), "mlp.0.bias": (8,), "last_layer.weight_g": (5, 1)}
_MASKED = ("rope_embed.periods", "mask_token")


def own_entries(network):
    """A state dict under the authors' names: drawn by the recipe of `golden_vit`."""
    family, shapes = family_of(network), backbone_shapes(network, masked=True)
    return {
        name: vit_weight(network, name, torch_shape(leaf.shape))
        for leaves in shapes.values()
        for path, leaf in flatten_dict(leaves).items()
        for name in [family.entry(path)]
    }


def zenodo(entries):
    """DinoBloom's file: the teacher, with the heads of its training."""
    teacher = {f"backbone.{name}": array for name, array in entries.items()}
    for head in ("dino_head", "ibot_head"):
        teacher |= {f"{head}.{name}": np.ones(shape) for name, shape in HEAD.items()}
    return {"teacher": teacher}


def timm(entries, *, biases=True):
    """timm's: Eva for DINOv3, with or without biases (qkvb), else VisionTransformer."""
    third = "storage_tokens" in entries
    given, found = dict(entries), {}
    for name in _MASKED:
        given.pop(name, None)
    if "register_tokens" in given:
        positions = given["pos_embed"]
        given["cls_token"] = given["cls_token"] + positions[:, :1]
        given["pos_embed"] = positions[:, 1:]
    gated = any(".w3." in name for name in given)
    for name, array in given.items():
        new = re.sub(r"^(register|storage)_tokens$", "reg_token", name)
        new = re.sub(r"mlp\.w12\.", "mlp.fc1.", new)
        if third:
            new = re.sub(r"ls([12])\.gamma", r"gamma_\1", new)
            new = re.sub(r"mlp\.w1\.", "mlp.fc1_g.", new)
            new = re.sub(r"mlp\.w2\.", "mlp.fc1_x.", new)
        if gated:
            new = re.sub(r"mlp\.w3\.", "mlp.fc2.", new)
        if third and new.endswith("qkv.bias"):
            queries, _, values = np.split(array, 3)
            if biases:
                found[new.replace("qkv.bias", "q_bias")] = queries
                found[new.replace("qkv.bias", "v_bias")] = values
        elif not new.endswith("bias_mask"):
            found[new] = array
    return found


def hugging_face(entries, *, parts=("query", "key", "value"), layers="", patch=""):
    """transformers': Dinov2Model, or DINOv3ViTModel by parts ("q_proj", ...)."""
    third = "storage_tokens" in entries
    attention = "attention" if third else "attention.attention"
    layers = layers if third else "encoder."
    gate = any("mlp.w1." in name for name in entries)
    found = {}
    for name, array in entries.items():
        if name == "mask_token" and third:
            array = array[None]
        if name.endswith(("periods", "bias_mask")):
            continue
        new = re.sub(r"^blocks\.", f"{layers}layer.", name)
        new = re.sub(r"^(cls_token|mask_token)$", r"embeddings.\1", new)
        new = re.sub(r"^pos_embed$", "embeddings.position_embeddings", new)
        new = re.sub(r"^\w+_tokens$", "embeddings.register_tokens", new)
        new = re.sub(r"^patch_embed\.proj", f"embeddings.patch_embeddings{patch}", new)
        new = re.sub(r"ls([12])\.gamma", r"layer_scale\1.lambda1", new)
        if not third:
            new = re.sub(r"^norm\.", "layernorm.", new)
            new = new.replace("mlp.w12.", "mlp.weights_in.")
            new = new.replace("mlp.w3.", "mlp.weights_out.")
        elif gate:
            new = new.replace("mlp.w1.", "mlp.gate_proj.")
            new = new.replace("mlp.w2.", "mlp.up_proj.")
            new = new.replace("mlp.w3.", "mlp.down_proj.")
        else:
            new = new.replace("mlp.fc1.", "mlp.up_proj.")
            new = new.replace("mlp.fc2.", "mlp.down_proj.")
        if ".attn.qkv." in new:
            for part, rows in zip(parts, np.split(array, 3), strict=True):
                if third and part == parts[1] and new.endswith("bias"):
                    continue
                found[new.replace("attn.qkv", f"{attention}.{part}")] = rows
            continue
        output = "attention.o_proj" if third else "attention.output.dense"
        found[new.replace("attn.proj", output)] = array
    return found
