"""A vision transformer gives the same features whichever program's file it comes in."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from bmjax.errors import CheckpointError
from bmjax.models import NETWORKS, family_of, make_network
from bmjax.models.weight_files.entries import Entry
from bmjax.models.weight_files.layouts import translate
from bmjax.models.weight_files.match import expected_entries
from bmjax.models.weight_files.state_dict import (
    network_of_file,
    read_weights,
    write_weights,
)
from tests.helpers.torch_files import write_pth
from tests.helpers.vit_layouts import hugging_face, own_entries, timm, zenodo

OLD_NAMES = {"parts": ("query", "key", "value"), "patch": ".proj"}
NEW_NAMES = {"parts": ("q_proj", "k_proj", "v_proj")}


def prefixed(prefix, entries):
    return {f"{prefix}{name}": array for name, array in entries.items()}


# What is written -> a name for it; of each family all that publish it.
DINOV2 = {
    "own": lambda e: e,
    "zenodo": zenodo,
    "timm": timm,
    "hugging_face": functools.partial(hugging_face, patch=".projection"),
    "with_a_prefix": lambda e: prefixed("dinov2.", hugging_face(e)),
}
DINOV3 = {
    "own": lambda e: e,
    "in_a_training": lambda e: {"teacher": prefixed("backbone.", e)},
    "timm": timm,
    "hugging_face": functools.partial(hugging_face, **NEW_NAMES),
    "older": functools.partial(hugging_face, **OLD_NAMES),
    "newer": functools.partial(hugging_face, layers="model.", **NEW_NAMES),
    "with_a_prefix": lambda e: prefixed("model.", hugging_face(e, **NEW_NAMES)),
}
CASES = [
    (name, layout)
    for name, layouts in (
        ("dinov2_nano14", DINOV2),
        ("dinov2_nano14_reg", DINOV2),
        ("dinov2_tiny_swiglu14", DINOV2),
        ("dinov3_nano16", DINOV3),
        ("dinov3_tiny_swiglu16", DINOV3),
    )
    for layout in layouts
]


@functools.cache
def drawn(name):
    return own_entries(name)


@functools.cache
def apply_of(name):
    return jax.jit(functools.partial(make_network(name).apply, train=False))


@functools.cache
def features_of_own(name):
    """By the parameters as they are, through no file."""
    family = family_of(name)
    trees = ({}, {})
    for entry, (tree, path, _) in expected_entries(name, {}).items():
        array = drawn(name)[entry]
        turned = array.transpose({4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim))
        turned = array if array.ndim not in (2, 4) else turned
        here = trees[0 if tree == "params" else 1]
        for key in path[:-1]:
            here = here.setdefault(key, {})
        here[path[-1]] = jnp.asarray(turned)
    assert family.feature_dim(NETWORKS[name]) == NETWORKS[name].width
    return features(name, trees)


def features(name, weights):
    # Of another size than the positions, so that they are resampled too.
    spec = NETWORKS[name]
    side = 3 * spec.patch
    images = np.random.Generator(np.random.PCG64(1)).normal(size=(2, side, side, 3))
    outputs, _ = apply_of(name)(*weights, jnp.asarray(images, jnp.float32))
    return np.asarray(outputs["features"])


@pytest.fixture
def file(tmp_path):
    def write(content):
        if any(isinstance(value, dict) for value in content.values()):
            return write_pth(tmp_path / "weights.bin", content)
        path = tmp_path / "weights.safetensors"
        save_file({k: np.ascontiguousarray(v) for k, v in content.items()}, path)
        return path

    return write


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_every_layout_gives_the_same_features(name, layout, file):
    made = (DINOV3 if name.startswith("dinov3") else DINOV2)[layout]
    path, said = file(made(drawn(name))), []
    assert network_of_file(path) == name
    found = features(name, read_weights(path, name, say=said.append))
    np.testing.assert_array_equal(found, features_of_own(name))
    table = "\n".join(said)
    assert "LayerScale in" in table
    assert ("positions of 1 + " in table) == name.startswith("dinov2")
    if layout in ("own", "zenodo", "in_a_training"):
        assert "names:" not in table
    elif name.startswith("dinov3"):
        assert "computed: rope_embed.periods, in float32" in table
        assert "biases of keys: zeros" in table
    if layout == "zenodo":
        for head in ("dino_head", "ibot_head"):
            unused = (
                f"unused: {head} (3 entries): {name} has no such part, which is of "
            )
            assert f"{unused}pretraining alone" in table
    if layout != "timm":
        assert "unused: mask_token (1 entry)" in table


def test_timms_files_without_biases_have_zeros(file):
    name = "dinov3_nano16"
    said = []
    path = file(timm(drawn(name), biases=False))
    params, _ = read_weights(path, name, say=said.append)
    assert not params["backbone"]["blocks_1"]["attn"]["qkv"]["bias"].any()
    assert any("biases of queries, keys and values: zeros" in line for line in said)


def test_masks_that_were_never_set_are_the_authors_own(file):
    name = "dinov3_nano16"
    entries = dict(drawn(name))
    for entry in [entry for entry in entries if entry.endswith("bias_mask")]:
        entries[entry] = np.full_like(entries[entry], np.nan)
    said = []
    weights = read_weights(file(entries), name, say=said.append)
    np.testing.assert_array_equal(features(name, weights), features_of_own(name))
    assert any("masks of biases that were never set" in line for line in said)


def test_half_precision_is_joined_exactly(file):
    name = "dinov2_nano14"
    half = {k: v.astype(np.float16) for k, v in drawn(name).items()}
    params, _ = read_weights(file(hugging_face(half)), name)
    np.testing.assert_array_equal(
        params["backbone"]["blocks_0"]["attn"]["qkv"]["kernel"].T,
        half["blocks.0.attn.qkv.weight"].astype(np.float32),
    )


def test_nothing_but_masks_is_read_before_it_is_asked_for():
    class Read(Exception):
        pass

    def read():
        raise Read

    entries = timm(drawn("dinov2_nano14_reg")) | hugging_face(drawn("dinov2_nano14"))
    lazy = {k: Entry(k, v.shape, "float32", read) for k, v in entries.items()}
    found = translate(lazy).entries
    assert found["pos_embed"].shape == (1, 5, 16)
    with pytest.raises(Read):
        found["blocks.0.attn.qkv.weight"].read()


def without(entries, part):
    return {name: array for name, array in entries.items() if part not in name}


def changed(entries, name, change):
    return {**entries, name: change(entries[name])}


# Wrong by kind: network, file, what the one sentence says.
REFUSED = {
    "chunked": (
        "dinov2_nano14",
        lambda e: {
            name.replace("blocks.", "blocks.0."): array for name, array in e.items()
        },
        r"blocks in 1 chunk \(blocks\.0\.0\.\), expected one list",
    ),
    "one_register_too_many": (
        "dinov2_nano14_reg",
        lambda e: changed(e, "register_tokens", lambda a: a[:, [0, 1, 2, 3, 3]]),
        "5 registers, expected 4 registers; it fits none",
    ),
    "registers_where_none_are": (
        "dinov2_nano14",
        lambda e: {**e, "register_tokens": np.ones((1, 4, 16), np.float32)},
        r"4 registers, expected 0 registers; it is a dinov2_nano14_reg; set --config",
    ),
    "no_layer_scale": (
        "dinov2_nano14",
        lambda e: without(e, "ls1"),
        "LayerScale in 2 branches, expected LayerScale in 4 branches",
    ),
    "no_layer_scale_in_hugging_faces": (
        "dinov3_nano16",
        lambda e: without(hugging_face(e, **NEW_NAMES), "layer_scale2"),
        "LayerScale in 2 branches, expected LayerScale in 4 branches",
    ),
    "no_square_of_positions": (
        "dinov2_nano14",
        lambda e: changed(e, "pos_embed", lambda a: a[:, 1:-1]),
        r"3 positions \(not 1 \+ n x n\), expected positions of 1 \+ 2 x 2",
    ),
    "other_positions": (
        "dinov2_nano14",
        lambda e: changed(e, "pos_embed", lambda a: np.repeat(a, 2, 1)),
        r"positions of 1 \+ 3 x 3 patches \(42 pixels\), expected positions of 1 \+ 2",
    ),
    "another_size": (
        "dinov2_vits14",
        lambda e: e,
        r"width 16, expected width 384; 2 blocks, expected 12 .*it is a dinov2_nano14",
    ),
    "another_family": (
        "dinov3_nano16",
        hugging_face,
        r"one DINOv3 vision transformer.*holds a DINOv2 .*name=dinov2_nano14",
    ),
    "half_of_the_biases": (
        "dinov3_nano16",
        lambda e: without(timm(e), "blocks.1.attn.q_bias"),
        r"missing 2, .*too many in the backbone 1",
    ),
    "a_bias_of_keys": (
        "dinov3_nano16",
        lambda e: {
            **hugging_face(e, **NEW_NAMES),
            "layer.0.attention.k_proj.bias": np.ones(16, np.float32),
        },
        r"too many in the backbone 1 \(first blocks\.0\.attn\.k\.bias\)",
    ),
    "no_periods_under_own_names": (
        "dinov3_nano16",
        lambda e: without(e, "periods"),
        r"missing 1, .*first rope_embed\.periods",
    ),
    "without_a_key": (
        "dinov2_nano14",
        lambda e: without(hugging_face(e), "layer.1.attention.attention.key.weight"),
        r"missing 1, .*too many in the backbone 2",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_with_both_values(kind, file):
    name, change, sentence = REFUSED[kind]
    drawn_as = "dinov2_nano14" if kind in ("another_size", "another_family") else name
    with pytest.raises(CheckpointError, match=sentence) as caught:
        read_weights(file(change(drawn(drawn_as))), name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["dinov2_nano14", "dinov2_nano14_reg", "dinov2_tiny_swiglu14", "dinov3_nano16"],
)
def test_timms_layout_goes_out_and_comes_back(name, file, tmp_path):
    # Biases of keys are not drawn here: DINOv3 has none.
    network = make_network(name, num_classes=3, head="mlp", embedding_dim=4)
    images = jnp.zeros((1, NETWORKS[name].patch, NETWORKS[name].patch, 3))
    weights = network.init(jax.random.key(0), images)
    path = tmp_path / "out.safetensors"
    write_weights(path, name, *weights, metadata={}, layout="timm")
    params, batch_stats = read_weights(path, name, num_classes=3)
    assert set(params) == {"backbone", "fc"}
    if name.endswith("_reg"):  # timm adds the class token's position to it
        backbone = weights[0]["backbone"]
        added = backbone["class_token"] + backbone["positions"][:, :1]
        backbone["class_token"] = added
        backbone["positions"] = backbone["positions"].at[:, 0].set(0)
    expected = {part: weights[0][part] for part in params}
    jax.tree.map(np.testing.assert_array_equal, params, expected)
    jax.tree.map(np.testing.assert_array_equal, batch_stats, weights[1])


# Entries and their numbers, facebookresearch/dinov2 and dinov3 instantiated; with the
# mask token, which is not read: one entry of the width.
SIZES = {
    "dinov2_vits14": (175, 22_056_576),
    "dinov2_vitb14": (175, 86_580_480),
    "dinov2_vitl14": (343, 304_368_640),
    "dinov2_vitg14": (567, 1_136_480_768),
    "dinov2_vits14_reg": (176, 22_058_112),
    "dinov2_vitb14_reg": (176, 86_583_552),
    "dinov2_vitl14_reg": (344, 304_372_736),
    "dinov2_vitg14_reg": (568, 1_136_486_912),
    "dinobloom_s": (175, 21_629_184),
    "dinobloom_b": (175, 85_725_696),
    "dinobloom_l": (343, 303_228_928),
    "dinobloom_g": (567, 1_134_771_200),
    "dinov3_vits16": (188, 21_614_992),
    "dinov3_vits_plus16": (212, 28_711_312),
    "dinov3_vitb16": (188, 85_697_296),
    "dinov3_vitl16": (368, 303_227_920),
    "dinov3_vitl_plus16": (416, 403_989_520),
    "dinov3_vith_plus16": (552, 840_756_496),
}


SMALL = ("dinov2_vits14", "dinobloom_s", "dinov3_vits16", "dinov3_vits_plus16")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SMALL else (pytest.mark.slow,))
        for name in SIZES
    ],
)
def test_entries_and_their_numbers_are_the_authors(name):
    shapes = [w.shape for w in expected_entries(name, {}).values()]
    shapes.append((1, NETWORKS[name].width))
    numbers = sum(int(np.prod(shape)) for shape in shapes)
    assert (len(shapes), numbers) == SIZES[name]
