"""The plain vision transformer is timm's, and takes images of several sizes.

tests/golden/vit_vit_small_patch16_224.npz holds what timm 1.0.31 computes in float64 on
weights and images that tests/helpers/golden_vit.py rebuilds.
"""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image
from safetensors.numpy import save_file

from bmjax.errors import CheckpointError, ConfigError
from bmjax.models import check_image_size, layer_scales, make_network, read_tokens
from bmjax.models.families import NETWORKS
from bmjax.models.network import make_network as build
from bmjax.models.positions import resample_positions
from bmjax.models.vision_transformer import VisionTransformer
from bmjax.models.vit import VITS
from bmjax.models.weight_files.state_dict import read_weights, write_weights
from bmjax.models.weight_files.torch_names import to_torch, torch_name
from tests.helpers.golden_vit import vit_entries, vit_images, vit_record, vit_weight

SMALL, TINY = "vit_small_patch16_224", "vit_tiny"
RECORD = vit_record(SMALL)
# float64, the same sums in another order.
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def tiny():
    """A tiny network's parameters with values that nothing hides behind."""
    network = make_network(TINY, num_classes=3)
    images = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    params, batch_stats = jax.eval_shape(network.init, jax.random.key(0), images)
    assert batch_stats == {}
    return network, seeded(params)


def seeded(params):
    """Replace every parameter by values of its name."""

    def draw(path, leaf):
        names = tuple(entry.key for entry in path)
        entry = torch_name(names, VITS)
        values = vit_weight(TINY, entry, leaf.shape)
        return jnp.asarray(values)

    return jax.tree_util.tree_map_with_path(draw, params)


def images_of(size, count=2):
    rng = np.random.default_rng(size)
    return jnp.asarray(rng.normal(size=(count, size, size, 3)), jnp.float32)


def gelu(x):
    erf = np.vectorize(math.erf)
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def written_out(params, image, *, epsilon=1e-6, activate=gelu):
    """The tiny network on one image [H, W, C] in plain numpy, a head at a time.

    Returns the features, and the class token's attention in the last block [heads, T].
    """
    spec = NETWORKS[TINY]
    side = spec.patch

    def norm(layer, x):
        centered = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centered**2).mean(-1, keepdims=True) + epsilon)
        return centered / deviation * layer["scale"] + layer["bias"]

    def dense(layer, x):
        return x @ layer["kernel"] + layer["bias"]

    embed = params["patch_embed"]
    rows = [params["class_token"][0, 0]]
    for top in range(0, image.shape[0], side):
        for left in range(0, image.shape[1], side):
            patch = image[top : top + side, left : left + side]
            token = np.tensordot(patch, embed["kernel"], axes=3) + embed["bias"]
            rows.append(token)
    tokens = np.stack(rows) + params["positions"][0]
    wide = spec.width // spec.heads
    for index in range(spec.depth):
        block = params[f"blocks_{index}"]
        parts = dense(block["attn"]["qkv"], norm(block["norm1"], tokens))
        mixed, looks = [], []
        for head in range(spec.heads):
            columns = [
                parts[:, part * spec.width + head * wide :][:, :wide]
                for part in range(3)
            ]
            scores = columns[0] @ columns[1].T / math.sqrt(wide)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            looks.append(weights[0])
            mixed.append(weights @ columns[2])
        tokens = tokens + dense(block["attn"]["proj"], np.concatenate(mixed, axis=1))
        hidden = dense(block["mlp"]["fc1"], norm(block["norm2"], tokens))
        tokens = tokens + dense(block["mlp"]["fc2"], activate(hidden))
    return norm(params["norm"], tokens)[0], np.stack(looks)


def test_it_is_the_formula_written_out(tiny, float64):
    _, params = tiny
    network = make_network(TINY, num_classes=3, dtype=jnp.float64)
    exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    images = np.asarray(images_of(16), np.float64)
    outputs, _ = network.apply(
        jax.tree.map(jnp.asarray, exact), {}, jnp.asarray(images), train=False
    )
    written = [written_out(exact["backbone"], image) for image in images]
    expected, looks = (np.stack(parts) for parts in zip(*written, strict=True))
    np.testing.assert_allclose(outputs["features"], expected, rtol=0, atol=1e-12)
    wide = jax.tree.map(jnp.asarray, exact)
    inside = read_tokens(TINY, wide, {}, jnp.asarray(images), dtype=jnp.float64)
    np.testing.assert_allclose(
        inside.class_attention.reshape(2, 2, 4), looks[:, :, 1:], rtol=0, atol=1e-12
    )
    # The deviations that are easily taken for it are far off.
    tanh = lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    for deviation in ({"activate": tanh}, {"epsilon": 1e-5}):
        other, _ = written_out(exact["backbone"], images[0], **deviation)
        assert np.abs(other - expected[0]).max() > 1e-7


@pytest.mark.slow
def test_the_small_network_evaluates_as_timm(tmp_path, float64):
    entries = vit_entries(SMALL)
    path = tmp_path / "timm.safetensors"
    save_file(entries, path)
    params, batch_stats = read_weights(path, SMALL)
    assert batch_stats == {}
    exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
    shape = tuple(int(length) for length in RECORD["n2_224/shape"])
    images = vit_images(f"{SMALL}-n2_224", shape)
    np.testing.assert_array_equal(
        images.transpose(0, 3, 1, 2).ravel()[:8], RECORD["n2_224/input_head"]
    )
    module = VisionTransformer(NETWORKS[SMALL], jnp.float64)
    tokens = jax.jit(
        lambda params, images: module.apply(
            {"params": params}, images, train=False, method="tokens"
        )
    )(exact["backbone"], jnp.asarray(images, jnp.float64))
    assert tokens.shape[1] == RECORD["n2_224/tokens"]
    for name, found in (
        ("cls", tokens[:, 0]),
        ("patch_mean", tokens[:, 1:].mean(axis=1)),
        ("patch_first", tokens[:, 1, :32]),
        ("patch_last", tokens[:, -1, :32]),
    ):
        expected = RECORD[f"n2_224/{name}"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_the_entries_and_shapes_of_a_file_are_timms():
    network = make_network(SMALL, num_classes=0)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params, _ = jax.eval_shape(network.init, jax.random.key(0), images)
    found = {
        torch_name(path, VITS): list(to_torch(np.empty(leaf.shape, "b")).shape)
        for path, leaf in flatten_dict(params).items()
    }
    assert found == json.loads(str(RECORD["state_dict"]))


@pytest.mark.slow
def test_its_gradient_is_the_slope(tiny, float64):
    _, params = tiny
    network = make_network(TINY, num_classes=3, dtype=jnp.float64)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
    images = jnp.asarray(images_of(16), jnp.float64)

    @jax.jit
    def value(params):
        outputs, _ = network.apply(params, {}, images, train=True)
        return jnp.sum(outputs["features"] ** 2) + jnp.sum(outputs["logits"] ** 2)

    gradient = jax.jit(jax.grad(value))(params)
    shift = lambda entry, step: jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + step if path == entry else leaf, params
    )
    for path, slope in jax.tree_util.tree_leaves_with_path(gradient):
        step = 1e-5  # central differences: their error is of its square
        rise = (value(shift(path, step)) - value(shift(path, -step))) / (2 * step)
        np.testing.assert_allclose(slope.sum(), rise, rtol=1e-5, atol=1e-6)


def test_initial_values_are_those_of_timm():
    network = make_network("vit_tiny_patch16_224")
    images = jnp.zeros((1, 224, 224, 3))
    params, _ = jax.jit(network.init)(jax.random.key(0), images)
    backbone = params["backbone"]
    block = backbone["blocks_3"]
    for values, std in (
        (block["attn"]["qkv"]["kernel"], 0.02),
        (block["mlp"]["fc2"]["kernel"], 0.02),
        (backbone["positions"], 0.02),
        (backbone["class_token"], 1e-6),  # not zeros
        (backbone["patch_embed"]["kernel"], 1 / math.sqrt(768 * 3)),
    ):
        # 192 values of the class token: known to 5 %.
        np.testing.assert_allclose(np.std(values), std, rtol=0.2)
    assert not np.any(block["attn"]["qkv"]["bias"])
    assert np.all(block["norm1"]["scale"] == 1)
    assert not np.any(block["norm1"]["bias"])
    assert np.any(backbone["patch_embed"]["bias"])


@pytest.mark.parametrize(("rows", "columns"), [(7, 9), (2, 2), (4, 6)])
def test_positions_are_resampled_as_pillow_resamples(rows, columns):
    # timm resamples by torch's antialiased bicubic, which is Pillow's.
    positions = np.random.default_rng(0).normal(size=(1, 17, 3)).astype(np.float32)
    found = resample_positions(jnp.asarray(positions), rows, columns, "size_antialias")
    np.testing.assert_array_equal(found[:, :1], positions[:, :1])
    for channel in range(3):
        grid = Image.fromarray(positions[0, 1:, channel].reshape(4, 4))
        expected = grid.resize((columns, rows), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(
            found[0, 1:, channel].reshape(rows, columns), expected, atol=1e-5
        )


def test_images_that_do_not_divide_into_patches_are_refused(tiny):
    network, params = tiny
    with pytest.raises(ConfigError, match=r"20 x 20 pixels .*patches of 8"):
        network.apply(params, {}, images_of(20), train=False)
    with pytest.raises(ConfigError, match=r"config\.data\.size = 250 .*use 240 or 256"):
        check_image_size(SMALL, 250, "config.data.size")
    check_image_size("resnet50", 250, "config.data.size")


def test_what_goes_out_under_timms_names_comes_back(tiny, tmp_path):
    _, params = tiny
    path = tmp_path / "out.safetensors"
    write_weights(path, TINY, params, {}, metadata={})
    back, batch_stats = read_weights(path, TINY, num_classes=3)
    assert batch_stats == {}
    jax.tree.map(np.testing.assert_array_equal, back, params)
    with pytest.raises(CheckpointError, match=r"of 3 classes, expected 4"):
        read_weights(path, TINY, num_classes=4)
    with pytest.raises(CheckpointError, match=r"ResNet .*holds a vision transformer"):
        read_weights(path, "resnet_tiny")
    with pytest.raises(CheckpointError, match=r"is no vit_tiny_p.*it is a vit_tiny;"):
        read_weights(path, "vit_tiny_patch16_224")


@pytest.mark.slow
def test_rematerialization_and_bfloat16_are_the_same_network(tiny):
    network, params = tiny
    images = images_of(24)
    expected = network.apply(params, {}, images, train=True)[0]["features"]
    saving = make_network(TINY, num_classes=3, remat=True)
    found = saving.apply(params, {}, images, train=True)[0]["features"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    half = make_network(TINY, num_classes=3, dtype=jnp.bfloat16)
    found = half.apply(params, {}, images, train=True)[0]["features"]
    assert found.dtype == jnp.float32
    # bfloat16 keeps 8 bits; values of order 1 through two blocks.
    np.testing.assert_allclose(found, expected, atol=0.2)


def test_a_network_draws_in_training_from_the_key_it_is_given(tiny, monkeypatch):
    _, params = tiny
    spec = NETWORKS[TINY]._replace(drop_path=0.5)
    monkeypatch.setitem(NETWORKS, TINY, spec)
    network = build(TINY, num_classes=3)
    images = images_of(16, count=8)

    def features(**more):
        return network.apply(params, {}, images, **more)[0]["features"]

    keys = jax.random.split(jax.random.key(0))
    first, again, other = (
        features(train=True, key=key) for key in (keys[0], keys[0], keys[1])
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    # In evaluation nothing is drawn.
    plain = make_network(TINY, num_classes=3)
    monkeypatch.undo()
    np.testing.assert_array_equal(
        features(train=False),
        plain.apply(params, {}, images, train=False)[0]["features"],
    )


def test_rates_fall_by_one_factor_from_layer_to_layer():
    scale = layer_scales(TINY, 0.5)
    backbone = ("student", "network", "backbone")
    for path, power in (
        (("network", "fc", "kernel"), 0),
        (("prototypes",), 0),
        ((*backbone, "norm", "bias"), 0),
        ((*backbone, "blocks_1", "attn", "qkv", "kernel"), 1),
        ((*backbone, "blocks_0", "norm1", "scale"), 2),
        ((*backbone, "patch_embed", "bias"), 3),
        ((*backbone, "class_token"), 3),
        ((*backbone, "positions"), 3),
    ):
        assert scale(path) == 0.5**power, path
    assert layer_scales(TINY, 1.0) is None
    with pytest.raises(ConfigError, match=r"layer_decay = 0\.5 .*vision transformer"):
        layer_scales("resnet50", 0.5)
