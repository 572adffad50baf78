"""What every vision transformer promises: its entries, settings and tokens."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import load_file, save_file

from bmjax.errors import ConfigError
from bmjax.models import (
    NETWORKS,
    family_of,
    feature_dim,
    feature_settings,
    layer_scales,
    make_network,
    read_tokens,
    spec_of,
)
from bmjax.models.dinov2 import DINOV2
from bmjax.models.dinov3 import DINOV3
from bmjax.models.positions import resample_positions
from bmjax.models.vision_transformer import POOLINGS, VisionTransformer, pool_tokens
from bmjax.models.weight_files.state_dict import read_weights, write_weights
from bmjax.training.optimizer import decayed
from tests.helpers.golden_vit import backbone_shapes, vit_entries

NANO = {"dinov2_nano14": 28, "dinov2_nano14_reg": 28, "dinov3_nano16": 32}
IN_BOTH_STAGES = [
    "dinov2_nano14_reg",
    pytest.param("dinov2_nano14", marks=pytest.mark.slow),
    pytest.param("dinov3_nano16", marks=pytest.mark.slow),
]

# Of the authors' own networks: entries, and elements of all of them together.
COUNTS = [
    ("dinov2_vits14", 175, 22_056_576),
    ("dinov3_vits16", 188, 21_614_992),
]
MORE_COUNTS = [
    ("dinov2_vits14_reg", 176, 22_058_112),
    ("dinobloom_s", 175, 21_629_184),
    ("dinov3_vits_plus16", 212, 28_711_312),
    ("dinov2_vitb14", 175, 86_580_480),
    ("dinov2_vitl14", 343, 304_368_640),
    ("dinov2_vitg14", 567, 1_136_480_768),
    ("dinov2_vitb14_reg", 176, 86_583_552),
    ("dinov2_vitl14_reg", 344, 304_372_736),
    ("dinov2_vitg14_reg", 568, 1_136_486_912),
    ("dinobloom_b", 175, 85_725_696),
    ("dinobloom_l", 343, 303_228_928),
    ("dinobloom_g", 567, 1_134_771_200),
    ("dinov3_vitb16", 188, 85_697_296),
    ("dinov3_vitl16", 368, 303_227_920),
    ("dinov3_vitl_plus16", 416, 403_989_520),
    ("dinov3_vith_plus16", 552, 840_756_496),
]
OURS = {
    "dinov2_tiny14",
    "dinov2_tiny_swiglu14",
    "dinov3_tiny16",
    "dinov3_tiny_swiglu16",
    *NANO,
}


def normal_images(size, count=2, columns=None):
    rng = np.random.default_rng(size)
    shape = (count, size, columns or size, 3)
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


@pytest.fixture(scope="module")
def nano():
    """A small network of each kind, with parameters that nothing hides behind."""
    made = {}
    for name, size in NANO.items():
        network = make_network(name)
        shape = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
        trees = jax.eval_shape(network.init, jax.random.key(0), shape)
        made[name] = seeded(trees[0]), standing(trees[1])
    return made


def seeded(params):
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        values = 0.3 * rng.normal(size=leaf.shape)
        return jnp.asarray(values + (path[-1].key in ("gamma", "scale")), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, params)


def standing(batch_stats):
    """Periods and masks as a file holds them."""

    def values(path, leaf):
        if path[-1].key == "periods":
            return jnp.asarray([1.0, 10.0], jnp.float32)
        return jnp.repeat(jnp.asarray([1.0, 0.0, 1.0]), leaf.shape[0] // 3)

    return jax.tree_util.tree_map_with_path(values, batch_stats)


def features_of(name, trees, images, *, train=False, key=None, **settings):
    """A network's features, compiled as a whole: parts one by one take longer."""
    network = make_network(name, **settings)

    def apply(trees, images, key):
        outputs, _ = network.apply(*trees, images, train=train, key=key)
        return outputs["features"]

    return jax.jit(apply)(trees, images, key)


def tokens_of(name, variables, images, mask=None):
    module = VisionTransformer(NETWORKS[name])

    def apply(variables, images, mask):
        return module.apply(variables, images, train=False, mask=mask, method="tokens")

    return jax.jit(apply)(variables, images, mask)


def check_counts(name, entries, elements):
    leaves = [
        leaf
        for tree in backbone_shapes(name, masked=True).values()
        for leaf in jax.tree.leaves(tree)
    ]
    assert (len(leaves), sum(leaf.size for leaf in leaves)) == (entries, elements)


@pytest.mark.parametrize(("name", "entries", "elements"), COUNTS)
def test_entries_and_elements_are_as_many_as_the_authors(name, entries, elements):
    check_counts(name, entries, elements)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "entries", "elements"), MORE_COUNTS)
def test_entries_and_elements_of_large_sizes(name, entries, elements):
    check_counts(name, entries, elements)


def test_every_name_is_counted_or_ours():
    counted = {name for name, *_ in COUNTS + MORE_COUNTS}
    assert counted | OURS == DINOV2.specs.keys() | DINOV3.specs.keys()


@pytest.mark.parametrize(
    "name", ["dinov2_tiny_swiglu14", "dinov3_tiny16", "dinov3_tiny_swiglu16"]
)
def test_entries_and_shapes_are_the_authors(name):
    entry = family_of(name).entry
    turned = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    found = {
        entry(path): tuple(
            leaf.shape[a] for a in turned.get(leaf.ndim, range(leaf.ndim))
        )
        for tree in backbone_shapes(name, masked=True).values()
        for path, leaf in flatten_dict(tree).items()
    }
    assert found == {name: array.shape for name, array in vit_entries(name).items()}


def bicubic(grid, size, scale):
    """torch's bicubic along both axes of [side, side]: a = -0.75, no antialiasing."""
    a = -0.75

    def weight(x):
        x = np.abs(x)
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0))

    side = len(grid)
    matrix = np.zeros((size, side))
    for row in range(size):
        place = (row + 0.5) / scale - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            # Taps outside repeat the rim.
            matrix[row, np.clip(tap, 0, side - 1)] += weight(place - tap)
    return matrix @ grid @ matrix.T


@pytest.mark.parametrize(
    ("interpolation", "scale"),
    [pytest.param("offset", 7.1, marks=pytest.mark.slow), ("size", 7)],
)
def test_positions_are_interpolated_by_the_rule_of_the_name(interpolation, scale):
    size = 7
    positions = np.random.default_rng(0).normal(size=(1, 26, 2)).astype(np.float32)
    found = resample_positions(jnp.asarray(positions), size, size, interpolation)
    np.testing.assert_array_equal(found[:, 0], positions[:, 0])
    patches = np.asarray(found[0, 1:]).reshape(size, size, 2)
    for channel in range(2):
        grid = positions[0, 1:, channel].reshape(5, 5)
        expected = bicubic(grid, size, scale / 5)
        np.testing.assert_allclose(patches[:, :, channel], expected, atol=1e-5)
    whole = resample_positions(jnp.asarray(positions), 5, 5, interpolation)
    np.testing.assert_array_equal(whole, positions)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_takes_what_its_name_says(pooling):
    # The class token, two registers, two patches.
    tokens = jnp.asarray([[[1.0, 2.0], [9.0, 9.0], [9.0, 9.0], [3.0, 4.0], [5.0, 8.0]]])
    expected = {
        "cls": [1, 2],
        "patch_mean": [4, 6],
        "cls_patch_mean": [1, 2, 4, 6],
        "cls4_patch_mean": [-3, -6, -2, -4, -1, -2, 1, 2, 4, 6],
    }
    earlier = [-3 * tokens, -2 * tokens, -tokens]
    found = pool_tokens([*earlier, tokens], pooling, registers=2)
    np.testing.assert_array_equal(found, [expected[pooling]])


def test_features_are_the_pooled_tokens(nano):
    name, images = "dinov2_nano14_reg", normal_images(28)
    tokens = tokens_of(name, {"params": nano[name][0]["backbone"]}, images)
    assert tokens.shape == (2, 1 + 4 + 4, 16)
    found = features_of(name, nano[name], images, pooling="cls_patch_mean")
    np.testing.assert_allclose(
        found, pool_tokens([tokens], "cls_patch_mean", 4), rtol=1e-5, atol=1e-5
    )
    dims = {"auto": 16, "cls": 16, "patch_mean": 16, "cls_patch_mean": 32}
    assert {p: feature_dim(name, pooling=p) for p in dims} == dims


@pytest.mark.slow
def test_another_interpolation_is_used_where_positions_are_not_native(nano):
    name = "dinov2_nano14"
    for size in (28, 42):
        own, offset, other = (
            features_of(name, nano[name], normal_images(size), interpolation=rule)
            for rule in ("auto", "offset", "size")
        )
        np.testing.assert_array_equal(own, offset)
        far = float(jnp.abs(own - other).max())
        assert (far > 1e-4) == (size == 42)


@pytest.mark.parametrize(
    ("name", "asked", "sentence"),
    [
        ("dinov2_nano14", {"pooling": "mean"}, r"pooling = 'mean' is not known"),
        (
            "dinov2_nano14",
            {"pooling": "average"},
            r"'average' is not possible, as .*cls",
        ),
        (
            "resnet_tiny",
            {"pooling": "cls"},
            r"pooling = 'cls' .*ResNet.*use one of auto",
        ),
        ("dinov2_nano14", {"interpolation": "bilinear"}, r"'bilinear' is not known"),
        (
            "dinov3_nano16",
            {"interpolation": "size"},
            r"needs learned positions.*DINOv3",
        ),
        ("resnet_tiny", {"interpolation": "size"}, r"needs learned positions.*'auto'"),
        (
            "resnet_tiny",
            {"drop_path": 0.1},
            r"drop_path = 0\.1 needs a vision tr.*0\.0",
        ),
    ],
)
def test_settings_that_a_network_has_not_are_refused(name, asked, sentence):
    for refuse in (spec_of, make_network):
        with pytest.raises(ConfigError, match=sentence) as caught:
            refuse(name, **asked)
        assert "\n" not in str(caught.value)


def test_how_features_are_made_is_said_by_name():
    assert feature_settings("dinov2_vits14") == {
        "pooling": "cls",
        "interpolation": "offset",
    }
    assert feature_settings("dinov2_vits14_reg")["interpolation"] == "size_antialias"
    assert feature_settings("dinov3_vits16", pooling="patch_mean") == {
        "pooling": "patch_mean",
        "interpolation": "none",
    }
    assert feature_settings("resnet50") == {
        "pooling": "average",
        "interpolation": "none",
    }


@pytest.mark.parametrize("name", IN_BOTH_STAGES)
def test_tokens_of_blocks_are_those_of_a_network_that_ends_there(
    name, nano, monkeypatch
):
    params, batch_stats = nano[name]
    side = NETWORKS[name].patch
    images = normal_images(2 * side, columns=3 * side)

    inside = jax.jit(partial(read_tokens, name, last=2))(params, batch_stats, images)
    assert inside.class_tokens.shape == (2, 2, 16)
    assert inside.registers.shape == (2, NETWORKS[name].registers, 16)
    assert inside.patches.shape == (2, 2, 3, 16)
    np.testing.assert_allclose(
        inside.class_tokens[:, 1], features_of(name, nano[name], images), atol=1e-5
    )
    looks = inside.class_attention
    assert looks.shape == (2, 2, 2, 3)
    assert (looks > 0).all()
    assert (looks.sum(axis=(2, 3)) < 1).all()
    monkeypatch.setitem(NETWORKS, name, NETWORKS[name]._replace(depth=1))
    np.testing.assert_allclose(
        inside.class_tokens[:, 0], features_of(name, nano[name], images), atol=1e-5
    )
    with pytest.raises(
        ConfigError, match=r"2 blocks were asked for.*has 1; use 1 to 1"
    ):
        read_tokens(name, params, batch_stats, images, last=2)


def test_a_residual_network_has_no_tokens():
    with pytest.raises(ConfigError, match=r"'resnet_tiny' is a ResNet.*no tokens"):
        read_tokens("resnet_tiny", {}, {}, normal_images(16))


@pytest.mark.slow
@pytest.mark.parametrize("name", NANO)
def test_a_masked_patch_is_not_seen(name, nano):
    params, batch_stats = nano[name]
    side = NETWORKS[name].patch
    variables = {
        "params": {**params["backbone"], "mask_token": jnp.full((16, 1), 0.5)},
        "batch_stats": batch_stats.get("backbone", {}),
    }
    images = normal_images(2 * side)
    changed = images.at[:, side:, :side].set(7.0)
    mask = jnp.zeros((2, 2, 2), jnp.bool).at[:, 1, 0].set(True)
    tokens = partial(tokens_of, name, variables)
    np.testing.assert_array_equal(tokens(images, mask), tokens(changed, mask))
    assert np.abs(tokens(images, None) - tokens(changed, None)).max() > 1e-3
    np.testing.assert_allclose(
        tokens(images, mask & False), tokens(images, None), atol=1e-5
    )


@pytest.mark.parametrize("name", ["dinov2_nano14_reg", "dinov3_nano16"])
def test_the_authors_file_is_read_and_written_back_without_its_mask_token(
    name, nano, tmp_path
):
    params, batch_stats = nano[name]
    path, theirs = tmp_path / "out.safetensors", tmp_path / "theirs.safetensors"
    write_weights(path, name, params, batch_stats, metadata={})
    entries = load_file(path)
    roots = {entry.split(".")[0] for entry in entries}
    mask = {"mask_token": np.zeros((1, 16), np.float32)}
    save_file({**entries, **mask}, theirs)
    said = []
    back = read_weights(theirs, name, say=said.append)
    assert "unused: mask_token" in "\n".join(said)
    jax.tree.map(np.testing.assert_array_equal, back, (params, batch_stats))
    found = {
        entry: array.shape for entry, array in entries.items() if entry not in mask
    }
    if name == "dinov3_nano16":
        assert roots == {
            *("cls_token", "storage_tokens", "patch_embed"),
            *("rope_embed", "blocks", "norm"),
        }
        assert found["rope_embed.periods"] == (2,)
        assert found["blocks.1.attn.qkv.bias_mask"] == (48,)
    else:
        assert found["register_tokens"] == (1, 4, 16)
        assert found["pos_embed"] == (1, 5, 16)


@pytest.mark.slow
def test_what_is_no_parameter_stays_as_the_file_has_it(nano):
    params, batch_stats = nano["dinov3_nano16"]
    network = make_network("dinov3_nano16")
    images = normal_images(32)

    def loss(params):
        outputs, stats = network.apply(params, batch_stats, images, train=True)
        return jnp.sum(outputs["features"] ** 2), stats

    gradient, stats = jax.jit(jax.grad(loss, has_aux=True))(params)
    jax.tree.map(np.testing.assert_array_equal, stats, batch_stats)
    assert jax.tree.leaves(batch_stats)
    bias = gradient["backbone"]["blocks_0"]["attn"]["qkv"]["bias"]
    assert np.any(bias[:16])
    assert not np.any(bias[16:32])  # the keys'
    assert np.any(bias[32:])


@pytest.mark.parametrize("name", ["dinov2_nano14_reg", "dinov3_nano16"])
def test_weight_decay_takes_from_kernels_alone_and_tokens_are_the_first_layer(
    name, nano
):
    params, _ = nano[name]
    scale = layer_scales(name, 0.5)
    seen = set()
    for path, takes in flatten_dict(decayed(params)).items():
        seen.add(path[-1])
        assert takes == (path[-1] == "kernel"), path
        first = path[1] in ("class_token", "registers", "positions", "patch_embed")
        power = 3 if first else 0 if path[1] == "norm" else 2 - int(path[1][-1])
        assert scale(("network", *path)) == 0.5**power, path
    tokens = {"class_token", "registers", "gamma", "kernel", "scale", "bias"}
    assert seen == tokens | ({"positions"} if "v2" in name else set())


@pytest.mark.parametrize(
    ("name", "std", "gamma"),
    [
        ("dinov2_tiny14", 1e-6, 1e-5),
        pytest.param("dinov3_tiny16", 0.02, 1e-5, marks=pytest.mark.slow),
    ],
)
def test_initial_values_are_the_authors(name, std, gamma):
    network = make_network(name)
    side = NETWORKS[name].patch
    images = jnp.zeros((1, side, side, 3))
    params, batch_stats = jax.jit(network.init)(jax.random.key(0), images)
    backbone = params["backbone"]
    block = backbone["blocks_1"]
    # 96 values: known to 7 %.
    np.testing.assert_allclose(np.std(backbone["class_token"]), std, rtol=0.3)
    np.testing.assert_allclose(np.std(block["mlp"]["fc1"]["kernel"]), 0.02, rtol=0.05)
    np.testing.assert_array_equal(block["ls1"]["gamma"], np.float32(gamma))
    if name == "dinov3_tiny16":
        stats = batch_stats["backbone"]
        np.testing.assert_allclose(
            stats["rope_embed"]["periods"], 100 ** (np.arange(6) / 6), rtol=1e-6
        )
        mask = stats["blocks_2"]["attn"]["qkv"]["bias_mask"]
        np.testing.assert_array_equal(mask, np.repeat([1, 0, 1], 96))


@pytest.mark.slow
@pytest.mark.parametrize("name", NANO)
def test_rematerialization_and_bfloat16_change_rounding_alone(name, nano):
    images = normal_images(NANO[name])
    features = partial(features_of, name, nano[name], images, train=True)
    expected = features()
    np.testing.assert_allclose(features(remat=True), expected, rtol=1e-5, atol=1e-5)
    half = features(dtype=jnp.bfloat16)
    assert half.dtype == jnp.float32
    # bfloat16 keeps 8 bits; values of order 1 through two blocks.
    np.testing.assert_allclose(half, expected, atol=0.3)


@pytest.mark.slow
def test_stochastic_depth_drops_in_training_with_a_key_alone(nano):
    name, images = "dinov2_nano14", normal_images(28, count=8)
    features = partial(features_of, name, nano[name], images, drop_path=0.5)
    plain = features(train=True, drop_path=0.0)
    np.testing.assert_array_equal(features(train=False), plain)
    np.testing.assert_array_equal(features(train=True), plain)
    dropped = features(train=True, key=jax.random.key(0))
    assert np.abs(dropped - plain).max() > 1e-3
