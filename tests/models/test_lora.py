"""Adapters: none at first, the same as a merged kernel later, alone in the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.errors import ConfigError
from bmjax.models import make_network
from bmjax.models.lora import add_lora, merge_adapters, split_adapters

RANK, ALPHA = 2, 6.0
LAYERS = ("qkv", "fc1")


@pytest.fixture(scope="module")
def adapted():
    """The plain network, the adapted one, and its parameters with trained adapters."""
    plain = make_network("vit_tiny", num_classes=3, remat=True)
    network = add_lora(plain, rank=RANK, alpha=ALPHA, layers=LAYERS)
    images = jax.random.normal(jax.random.key(1), (2, 16, 16, 3))
    params, _ = jax.jit(network.init)(jax.random.key(0), images)
    return plain, network, params, images


def trained(params):
    """The same parameters with adapters that do something."""
    own, adapters = split_adapters(params)
    moved = jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape),
        adapters,
    )
    return {**own, "lora": moved}


def outputs_of(network, params, images):
    return network.apply(params, {}, images, train=False)[0]


@pytest.mark.slow
def test_training_begins_at_the_pretrained_network(adapted):
    plain, network, params, images = adapted
    own, adapters = split_adapters(params)
    begun = jax.jit(plain.init)(jax.random.key(0), images)[0]
    jax.tree.map(np.testing.assert_array_equal, own, begun)
    layers = {path[-2].key for path, _ in jax.tree_util.tree_leaves_with_path(adapters)}
    assert layers == set(LAYERS)
    with_adapters = outputs_of(network, params, images)
    for name, value in outputs_of(plain, own, images).items():
        np.testing.assert_array_equal(with_adapters[name], value)


@pytest.mark.slow
def test_a_merged_network_gives_what_the_adapted_one_gave(adapted):
    plain, network, params, images = adapted
    params = trained(params)
    merged = merge_adapters(params, rank=RANK, alpha=ALPHA)
    assert "lora" not in merged
    one = outputs_of(network, params, images)
    other = outputs_of(plain, merged, images)
    untrained = outputs_of(plain, split_adapters(params)[0], images)
    assert float(jnp.abs(one["features"] - untrained["features"]).max()) > 1e-2
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_tokens_of_masked_images_have_the_adapters_too(adapted):
    plain, network, params, images = adapted
    params = trained(params)
    merged = merge_adapters(params, rank=RANK, alpha=ALPHA)
    masked = {
        "train": False,
        "mask": jnp.zeros((2, 2, 2), bool).at[:, 0, 1].set(True),
        "mask_token": jnp.full((16, 1), 0.3),
    }
    one = network.tokens(params, {}, images, **masked)
    other = plain.tokens(merged, {}, images, **masked)
    for found, wanted in zip(one[:2], other[:2], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    without = plain.tokens(split_adapters(params)[0], {}, images, **masked)
    assert np.abs(without[0] - one[0]).max() > 1e-3


@pytest.mark.slow
def test_the_gradient_of_an_adapter_is_that_of_the_merged_kernel(adapted):
    plain, network, params, images = adapted
    params = trained(params)

    def of_adapters(adapters):
        return outputs_of(network, {**params, "lora": adapters}, images)["logits"].sum()

    def of_merged(adapters):
        merged = merge_adapters({**params, "lora": adapters}, rank=RANK, alpha=ALPHA)
        return outputs_of(plain, merged, images)["logits"].sum()

    one = jax.jit(jax.grad(of_adapters))(params["lora"])
    other = jax.jit(jax.grad(of_merged))(params["lora"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), one, other
    )
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(one)) > 0


def test_a_layer_that_the_backbone_does_not_have_is_refused(adapted):
    plain, _, _, images = adapted
    network = add_lora(plain, rank=1, alpha=1.0, layers=("query",))
    with pytest.raises(ConfigError, match=r"'query'.*use some of fc1, fc2, proj, qkv"):
        jax.eval_shape(network.init, jax.random.key(0), images)
