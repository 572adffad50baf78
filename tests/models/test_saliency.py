"""Maps of an image are what they are said to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.models import make_network, read_tokens
from bmjax.models.saliency import (
    ATTENTION,
    CLASS_ACTIVATION,
    make_saliency,
    saliency_kind,
)

CLASSES = 3


def network_of(name, size):
    network = make_network(name, num_classes=CLASSES)
    images = jax.random.normal(jax.random.key(1), (2, size, size, 3))
    params, batch_stats = jax.jit(network.init)(jax.random.key(0), images)
    return network, params, batch_stats, images


@pytest.mark.slow
def test_a_class_activation_map_averages_to_the_logit_without_bias():
    network, params, batch_stats, images = network_of("resnet_tiny", 40)
    params["fc"]["bias"] = jnp.arange(3.0)
    outputs, _ = network.apply(params, batch_stats, images, train=False)
    chosen = jnp.array([2, 0])
    kernel = params["fc"]["kernel"].T[chosen]
    maps = make_saliency("resnet_tiny")(params, batch_stats, images, kernel)
    assert maps.shape == (2, 5, 5)
    logits = outputs["logits"][jnp.arange(2), chosen]
    np.testing.assert_allclose(
        maps.mean(axis=(1, 2)) + params["fc"]["bias"][chosen], logits, atol=1e-5
    )
    assert saliency_kind("resnet_tiny") == CLASS_ACTIVATION


@pytest.mark.slow
def test_attention_is_the_mean_of_the_heads_and_asks_for_no_class():
    _, params, batch_stats, images = network_of("vit_tiny", 16)
    make = make_saliency("vit_tiny")
    nothing = jnp.zeros((2, 16))
    maps = make(params, batch_stats, images, nothing)
    heads = read_tokens("vit_tiny", params, batch_stats, images).class_attention
    np.testing.assert_allclose(maps, heads.mean(axis=1), rtol=1e-6)
    assert ((maps > 0) & (maps < 1)).all()
    assert (maps.sum(axis=(1, 2)) < 1).all()  # the class token looks at itself too
    np.testing.assert_array_equal(
        maps, make(params, batch_stats, images, nothing + 1.0)
    )
    assert saliency_kind("vit_tiny") == ATTENTION


@pytest.mark.parametrize("name", ["resnet_tiny", "vit_tiny"])
def test_training_leaves_no_map_in_the_state(name):
    size = 16 if name == "vit_tiny" else 32
    network, params, batch_stats, images = network_of(name, size)

    def updated(images):
        return network.apply(params, batch_stats, images, train=True)[1]

    left = jax.eval_shape(updated, images)
    assert jax.tree.structure(left) == jax.tree.structure(batch_stats)
