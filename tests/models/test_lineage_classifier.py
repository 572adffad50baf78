"""A classifier of lineages: probabilities, gradients, files of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.errors import CheckpointError
from bmjax.methods.linear import make_linear
from bmjax.methods.supervised import make_supervised
from bmjax.models import make_network
from bmjax.models.heads import class_log_probabilities
from bmjax.models.weight_files.state_dict import read_weights, write_weights
from bmjax.types import Network
from tests.helpers.over_devices import losses_over_devices
from tests.helpers.toy_network import toy_network, toy_recipe

LINEAGES = (0, 1, 0, 2, 1, 0)
RANDOM = np.random.Generator(np.random.PCG64(0))
SCORES = 3 * RANDOM.standard_normal((5, 6))
OF_LINEAGES = 3 * RANDOM.standard_normal((5, 3))
LABELS = np.array([0, 1, 3, 4, 5])


def by_hand(scores, of_lineages):
    """p(class), class by class."""
    lineage = np.exp(of_lineages)
    lineage /= lineage.sum(axis=1, keepdims=True)
    found = np.zeros_like(scores)
    for number, own in enumerate(LINEAGES):
        inside = np.exp(scores[:, [n == own for n in LINEAGES]]).sum(axis=1)
        found[:, number] = lineage[:, own] * np.exp(scores[:, number]) / inside
    return found


def probabilities(scores, of_lineages):
    logits = class_log_probabilities(
        jnp.asarray(scores), jnp.asarray(of_lineages), jnp.asarray(LINEAGES)
    )
    return np.exp(np.asarray(logits, np.float64))


def test_probabilities_are_products_and_sum_to_one(float64):
    found = probabilities(SCORES, OF_LINEAGES)
    np.testing.assert_allclose(found, by_hand(SCORES, OF_LINEAGES), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    # The share of a lineage is its own softmax, whatever its classes' scores are.
    shifted = probabilities(SCORES + 5 * np.array(LINEAGES), OF_LINEAGES)
    np.testing.assert_allclose(shifted, found, rtol=1e-9)


def test_large_scores_stay_finite():
    found = probabilities(np.float32(1000 * SCORES), np.float32(OF_LINEAGES))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences(float64):
    def loss(scores, of_lineages):
        return -np.log(by_hand(scores, of_lineages)[np.arange(5), LABELS]).mean()

    def ours(scores, of_lineages):
        logits = class_log_probabilities(scores, of_lineages, jnp.asarray(LINEAGES))
        return -logits[jnp.arange(5), jnp.asarray(LABELS)].mean()

    given = (SCORES, OF_LINEAGES)
    found = jax.grad(ours, argnums=(0, 1))(*map(jnp.asarray, given))
    for which, slope in enumerate(found):
        known = np.zeros_like(given[which])
        for place in np.ndindex(known.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [array.copy() for array in given]
                moved[which][place] += step
                ends.append(loss(*moved))
            known[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(slope, known, atol=1e-8)
    # A lineage of one class leaves nothing to learn within it.
    np.testing.assert_allclose(found[0][:, 3], 0, atol=1e-15)


@pytest.fixture(scope="module")
def network():
    made = make_network("resnet_tiny", num_classes=6, lineages=LINEAGES)
    images = jnp.asarray(RANDOM.random((2, 32, 32, 3)), jnp.float32)
    return made, *jax.jit(made.init)(jax.random.key(0), images), images


def logits_of(made, params, batch_stats, images):
    return made.apply(params, batch_stats, images, train=False)[0]["logits"]


@pytest.mark.slow
def test_a_networks_logits_are_their_own_logarithms_of_probabilities(network):
    made, params, batch_stats, images = network
    assert params["fc"]["lineage"]["kernel"].shape[-1] == 3
    np.testing.assert_array_equal(batch_stats["fc"]["lineages"], LINEAGES)
    logits = logits_of(made, params, batch_stats, images)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(jax.nn.softmax(logits), np.exp(logits), rtol=1e-5)
    after = made.apply(params, batch_stats, images, train=True)[1]
    np.testing.assert_array_equal(after["fc"]["lineages"], LINEAGES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet_tiny", "vit_tiny"])
def test_a_file_of_weights_holds_lineages_and_both_layers(name, network, tmp_path):
    made, params, batch_stats, images = network
    if name != "resnet_tiny":
        made = make_network(name, num_classes=6, lineages=LINEAGES)
        params, batch_stats = made.init(jax.random.key(0), images)
    file = tmp_path / "net.safetensors"
    write_weights(file, name, params, batch_stats, metadata={})
    read, stats = read_weights(file, name, num_classes=6)
    jax.tree.map(np.testing.assert_array_equal, read, params)
    jax.tree.map(np.testing.assert_array_equal, stats, batch_stats)
    dropped, stats = read_weights(file, name, new_classifier=True)
    assert "fc" not in dropped
    assert "fc" not in stats
    with pytest.raises(CheckpointError, match="a classifier of 6 classes"):
        read_weights(file, name, num_classes=5)


@pytest.mark.slow
def test_the_linear_stage_begins_with_equal_probabilities_but_for_a_hair(network):
    made, _, _, images = network
    method = make_linear(made, recipe=toy_recipe)
    views = type("V", (), {"images": (images[:, None],)})
    params, batch_stats, _ = method.init(jax.random.key(0), views)
    own = params["network"]["fc"]
    assert not own["bias"].any()
    assert not own["lineage"]["bias"].any()
    assert 0.005 < float(own["lineage"]["kernel"].std()) < 0.02
    np.testing.assert_array_equal(batch_stats["fc"]["lineages"], LINEAGES)


@pytest.mark.slow
def test_four_devices_learn_what_one_learns():
    plain = toy_network(num_classes=9)

    def apply(*given, **named):
        outputs, stats = plain.apply(*given, **named)
        scores, of_lineages = outputs["logits"][:, :6], outputs["logits"][:, 6:]
        logits = class_log_probabilities(scores, of_lineages, jnp.asarray(LINEAGES))
        return {**outputs, "logits": logits}, stats

    method = make_supervised(Network(plain.init, apply, 6), recipe=toy_recipe)
    losses = losses_over_devices(method, classes=6)
    np.testing.assert_allclose(*losses, rtol=1e-5)
