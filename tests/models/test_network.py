"""What every network promises, whatever its name and heads."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import meta

from bmjax.errors import ConfigError
from bmjax.models import make_network
from bmjax.models.norm import BatchNorm

TINY = ("resnet_tiny", "resnext_tiny")


@functools.cache
def built(name, **settings):
    """Builds a tiny network once for all tests, with its jitted functions."""
    network = make_network(name, **settings)
    images = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
    params, batch_stats = jax.jit(
        lambda key: network.init(key, jnp.zeros(images.shape))
    )(jax.random.key(0))
    return jax.jit(network.apply, static_argnames="train"), params, batch_stats


def normal_images(size, count=4):
    rng = np.random.default_rng(size)
    return jnp.asarray(rng.normal(size=(count, size, size, 3)), jnp.float32)


def test_several_sizes_give_the_heads_the_features_of_all_in_order():
    apply, params, batch_stats = built(
        "resnet_tiny", num_classes=5, head="mlp_bn", embedding_dim=6, hidden_dim=7
    )
    large, small = normal_images(24), normal_images(16, count=2)
    outputs, _ = apply(params, batch_stats, (large, small), train=False)
    for start, images in ((0, large), (4, small)):
        alone, _ = apply(params, batch_stats, images, train=False)
        for key in ("features", "embeddings", "logits"):
            actual = outputs[key][start : start + len(images)]
            # The same float32 sums, at most in another order.
            np.testing.assert_allclose(actual, alone[key], rtol=1e-5, atol=1e-6)
    assert outputs["embeddings"].shape == (6, 6)


def test_heads_normalize_all_sizes_together_in_training():
    apply, params, batch_stats = built(
        "resnet_tiny", num_classes=5, head="mlp_bn", embedding_dim=6, hidden_dim=7
    )
    images = normal_images(24), normal_images(16, count=2)
    outputs, _ = apply(params, batch_stats, images, train=True)
    head = params["head"]
    hidden = outputs["features"] @ head["fc1"]["kernel"]  # its bias is normalized away
    hidden = (hidden - hidden.mean(0, keepdims=True)) / jnp.sqrt(
        hidden.var(0, keepdims=True) + 1e-5
    )
    expected = jax.nn.relu(hidden) @ head["fc2"]["kernel"]
    expected += head["fc2"]["bias"].reshape(1, -1)
    # float32, divided by standard deviations that may be small.
    np.testing.assert_allclose(outputs["embeddings"], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_evaluation_leaves_the_statistics_alone_and_training_moves_them(name):
    apply, params, batch_stats = built(name)
    _, same = apply(params, batch_stats, normal_images(16), train=False)
    jax.tree.map(np.testing.assert_array_equal, same, batch_stats)
    _, moved = apply(params, batch_stats, normal_images(16), train=True)
    assert jax.tree.structure(moved) == jax.tree.structure(batch_stats)
    for before, after in zip(
        jax.tree.leaves(batch_stats), jax.tree.leaves(moved), strict=True
    ):
        assert before.shape == after.shape
        assert before.dtype == after.dtype
        assert not np.allclose(before, after)


def test_lowerings_give_one_network():
    name = "resnext_tiny"  # has 1x1 and grouped kernels, strided and not
    _, params, batch_stats = built(name)
    images = normal_images(16)

    def gradients(convolutions):
        network = make_network(name, convolutions=convolutions)

        @jax.jit
        @jax.value_and_grad
        def loss(params):
            outputs, _ = network.apply(params, batch_stats, images, train=True)
            return jnp.sum(jnp.sin(outputs["features"]))

        return loss(params)

    expected = jax.tree.leaves(gradients("xla"))
    for actual, wanted in zip(
        jax.tree.leaves(gradients("matmul")), expected, strict=True
    ):
        # float32 through batch normalization over as few as 16 values.
        limit = 1e-4 * max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=limit)


def test_activations_can_be_bfloat16():
    _, params, batch_stats = built("resnet_tiny")
    images = normal_images(16)
    network = make_network("resnet_tiny", dtype=jnp.bfloat16)
    apply = jax.jit(functools.partial(network.apply, train=True))
    outputs, updated = apply(params, batch_stats, images)
    assert outputs["features"].dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(updated)} == {jnp.dtype("float32")}
    full, _ = built("resnet_tiny")[0](params, batch_stats, images, train=True)
    # bfloat16 keeps 8 bits; a few layers leave some percent of values of order 1.
    np.testing.assert_allclose(outputs["features"], full["features"], atol=0.1)


def test_initial_values_are_those_of_torch():
    network = make_network("resnet18", num_classes=400)
    params, batch_stats = jax.jit(network.init)(
        jax.random.key(0), jnp.zeros((1, 32, 32, 3))
    )
    kernel = np.asarray(params["backbone"]["layer2_0"]["conv1"]["kernel"])
    # 73,728 values: their standard deviation is known to 0.3 %.
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 128)), rtol=0.02)
    assert np.abs(kernel).max() > 3 * kernel.std()  # normal, neither uniform nor cut
    kernel, bound = np.asarray(params["fc"]["kernel"]), 1 / np.sqrt(512)
    np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.02)
    np.testing.assert_allclose([kernel.min(), kernel.max()], [-bound, bound], rtol=0.01)
    bias = np.asarray(params["fc"]["bias"])
    assert 0.5 * bound < np.abs(bias).max() <= bound
    block = params["backbone"]["layer2_0"]
    assert np.all(np.asarray(block["bn2"]["scale"]) == 1)  # the last one too
    assert np.all(np.asarray(block["bn2"]["bias"]) == 0)
    assert set(np.unique(jax.tree.leaves(batch_stats)[0])) <= {0, 1}


def test_dinos_head_has_three_layers_and_gelu_and_serves_any_token():
    network = make_network(
        "dinov2_nano14", head="mlp_gelu", embedding_dim=6, hidden_dim=7
    )
    images = normal_images(28)
    params, _ = jax.jit(network.init)(jax.random.key(0), images)
    head = jax.tree.map(lambda leaf: 20.0 * leaf + 0.1, params["head"])
    params = {**params, "head": head}
    outputs, _ = network.apply(params, {}, images, train=True)
    tokens, patches, _ = network.tokens(params, {}, images, train=False)
    assert (tokens.shape, patches.shape) == ((4, 16), (4, 4, 16))
    np.testing.assert_allclose(tokens, outputs["features"], rtol=1e-6)
    np.testing.assert_allclose(
        network.project(params, tokens), outputs["embeddings"], rtol=1e-4, atol=1e-5
    )
    found = network.project(params, patches.reshape(16, 16))
    hidden = np.asarray(patches, np.float64).reshape(16, 16)
    erf = np.vectorize(math.erf)
    for layer in ("fc1", "fc2", "fc3"):
        if layer != "fc1":
            hidden = hidden * (1 + erf(hidden / 2**0.5)) / 2
        kernel, bias = (
            np.asarray(head[layer][k], np.float64) for k in ("kernel", "bias")
        )
        hidden = hidden @ kernel + bias
    np.testing.assert_allclose(found, hidden, rtol=1e-4, atol=1e-4)


def test_heads_do_not_change_the_initial_backbone():
    _, alone, _ = built("resnet_tiny")
    _, crowned, _ = built(
        "resnet_tiny", num_classes=5, head="mlp_bn", embedding_dim=6, hidden_dim=7
    )
    jax.tree.map(np.testing.assert_array_equal, alone["backbone"], crowned["backbone"])


def test_batch_norm_is_sound_where_the_mean_is_large():
    # Standard deviation 1 on a mean of 1000: E[x^2] - E[x]^2 would lose it in float32.
    inputs = 1000 + np.random.default_rng(0).normal(size=(64, 3, 3, 2))
    module = BatchNorm()
    variables = meta.unbox(
        module.init(jax.random.key(0), jnp.zeros((1, 2)), train=True)
    )
    outputs, updated = module.apply(
        variables, jnp.asarray(inputs, jnp.float32), train=True, mutable=["batch_stats"]
    )
    axes = (0, 1, 2)
    expected = (inputs - inputs.mean(axes)) / inputs.std(axes)
    # The mean is a float32 sum, good to about 5e-7 of 1000.
    np.testing.assert_allclose(outputs, expected, atol=1e-3)
    expected = 0.9 + 0.1 * inputs.var(axes, ddof=1)
    np.testing.assert_allclose(updated["batch_stats"]["var"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet5"}, "config.model.name = 'resnet5' is not known .*resnet50"),
        ({"name": "resnet18", "head": "mpl"}, "config.model.head = 'mpl' .*'mlp'"),
        (
            {"name": "resnet18", "convolutions": "gemm"},
            "config.model.convolutions = 'gemm' is not known; use one of auto, xla",
        ),
    ],
)
def test_unknown_names_are_refused_with_one_sentence(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_network(**arguments)


def loss_and_gradient(network, params, batch_stats, images):
    def loss(params):
        outputs, updated = network.apply(params, batch_stats, images, train=True)
        return jnp.mean(outputs["logits"] ** 2), updated

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)


@pytest.mark.parametrize("name", TINY)
def test_rematerialization_changes_no_number(name):
    plain = make_network(name, num_classes=3)
    saving = make_network(name, num_classes=3, remat=True)
    images = normal_images(16)
    params, batch_stats = plain.init(jax.random.key(0), images)
    kept = loss_and_gradient(plain, params, batch_stats, images)
    again = loss_and_gradient(saving, params, batch_stats, images)
    # float32; the compiler may fuse the two programs differently.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), kept, again
    )


@pytest.mark.slow
def test_bfloat16_is_of_the_activations_alone():
    network = make_network("resnet_tiny", num_classes=3, dtype=jnp.bfloat16)
    exact = make_network("resnet_tiny", num_classes=3)
    images = normal_images(32)
    params, batch_stats = network.init(jax.random.key(0), images)
    (value, updated), gradients = loss_and_gradient(
        network, params, batch_stats, images
    )
    for leaf in jax.tree.leaves((params, batch_stats, value, updated, gradients)):
        assert leaf.dtype == jnp.float32
    outputs, _ = network.apply(params, batch_stats, images, train=False)
    assert {leaf.dtype for leaf in outputs.values()} == {jnp.dtype(jnp.float32)}
    program = str(
        jax.make_jaxpr(lambda x: network.apply(params, batch_stats, x, train=False)[0])(
            images
        )
    )
    assert "bf16[4,16,16,8] = conv" in program
    wanted, _ = loss_and_gradient(exact, params, batch_stats, images)
    # bfloat16 keeps 8 bits.
    np.testing.assert_allclose(value, wanted[0], rtol=0.05)
