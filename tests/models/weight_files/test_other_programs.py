"""timm's and Hugging Face's own models agree with ours on each other's files.

These tests run where torch and timm, or transformers, are installed; the library needs
none of them.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from bmjax.models import NETWORKS, make_network
from bmjax.models.weight_files.state_dict import read_weights, write_weights
from bmjax.models.weight_files.timm_layout import timm_model
from tests.helpers.vit_layouts import own_entries

TIMM = {
    "dinov2_nano14": "vit_small_patch14_dinov2",
    "dinov2_nano14_reg": "vit_small_patch14_reg4_dinov2",
    "dinov2_tiny_swiglu14": "vit_giant_patch14_dinov2",
    "dinov3_nano16": "vit_small_patch16_dinov3_qkvb",
    "dinov3_tiny_swiglu16": "vit_small_plus_patch16_dinov3_qkvb",
}


def sides(name):
    """Of images on which nothing is resampled."""
    spec = NETWORKS[name]
    return 2 * spec.patch if spec.rotary else spec.size


def images_of(name):
    drawn = np.random.Generator(np.random.PCG64(2))
    return drawn.normal(size=(2, 3, sides(name), sides(name))).astype(np.float32)


def features(name, weights, images, count=0):
    network = make_network(name, num_classes=count)
    apply = jax.jit(functools.partial(network.apply, train=False))
    outputs, _ = apply(*weights, jnp.asarray(images.transpose(0, 2, 3, 1)))
    return outputs


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_timm_loads_its_layout_strictly_and_gives_the_same(name, tmp_path):
    torch, timm = pytest.importorskip("torch"), pytest.importorskip("timm")
    from safetensors.torch import load_file

    path, spec = tmp_path / "drawn.safetensors", NETWORKS[name]
    save_file(own_entries(name), path)
    params, batch_stats = read_weights(path, name)
    kernel = np.random.Generator(np.random.PCG64(3)).normal(size=(spec.width, 3))
    params["fc"] = {"kernel": kernel.astype(np.float32), "bias": np.float32([1, 2, 3])}
    for tree in (params["backbone"][f"blocks_{i}"] for i in range(spec.depth)):
        if spec.rotary:  # timm has none
            bias = tree["attn"]["qkv"]["bias"]
            third = len(bias) // 3
            tree["attn"]["qkv"]["bias"] = bias.at[third : 2 * third].set(0)
    path = tmp_path / "timm.safetensors"
    write_weights(path, name, params, batch_stats, metadata={}, layout="timm")

    size = {} if spec.rotary else {"img_size": spec.size}
    model = timm.create_model(
        TIMM[name],
        num_classes=3,
        embed_dim=spec.width,
        depth=spec.depth,
        num_heads=spec.heads,
        global_pool="token",
        **size,
    )
    model.load_state_dict(load_file(path), strict=True)
    images = images_of(name)
    with torch.no_grad():
        theirs = model.eval()(torch.from_numpy(images)).numpy()
    ours = features(name, (params, batch_stats), images, 3)["logits"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)

    # And back: what timm itself saves.
    save_file({k: v.numpy() for k, v in model.state_dict().items()}, path)
    again = features(name, read_weights(path, name, num_classes=3), images, 3)["logits"]
    np.testing.assert_allclose(again, ours, rtol=1e-5, atol=1e-5)


def test_the_models_that_are_named_exist_in_timm():
    timm = pytest.importorskip("timm")
    for name in NETWORKS:
        if call := timm_model(name):
            made = re.match(r"timm\.create_model\('(\w+)'", call)[1]
            assert made in timm.list_models()
        else:
            assert re.search("tiny|nano|cifar|w32|vitl_plus", name)


HUGGING_FACE = {
    "dinov2_nano14": ("Dinov2", {"image_size": 28, "patch_size": 14}),
    "dinov2_tiny_swiglu14": (
        "Dinov2",
        {"image_size": 98, "patch_size": 14, "use_swiglu_ffn": True},
    ),
    "dinov2_nano14_reg": ("Dinov2WithRegisters", {"image_size": 28, "patch_size": 14}),
    "dinov3_nano16": ("DINOv3ViT", {"num_register_tokens": 4}),
    "dinov3_tiny_swiglu16": (
        "DINOv3ViT",
        # As in the released configurations with a gate; the class begins with GELU.
        {"num_register_tokens": 4, "use_gated_mlp": True, "hidden_act": "silu"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_hugging_faces_own_files_give_its_features(name, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    kind, settings = HUGGING_FACE[name]
    spec = NETWORKS[name]
    if spec.rotary:
        settings = settings | {"intermediate_size": 4 * spec.width}
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=spec.width,
        num_hidden_layers=spec.depth,
        num_attention_heads=spec.heads,
        **settings,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    images = images_of(name)
    with torch.no_grad():
        theirs = model(torch.from_numpy(images)).last_hidden_state[:, 0].numpy()
    weights = read_weights(tmp_path / "model.safetensors", name)
    ours = features(name, weights, images)["features"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
