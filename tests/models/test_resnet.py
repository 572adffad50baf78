"""The residual networks are torchvision's, to the last digits of float64.

tests/golden/resn*.npz hold what torchvision computes on weights and images that
tests/golden_weights.py rebuilds.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from bmjax.models import feature_dim, make_network
from bmjax.models.resnet import RESNETS
from tests.conftest import GOLDEN
from tests.helpers import golden_weights

# The same sums in another order: in float64 logits agree to 1e-12 and norms of
# gradients to 1e-13 of their size; a wrong constant would show at 1e-6 or more.
TOLERANCE = 1e-8

DEEP = ("resnet50", "resnext50_32x4d")


@functools.cache
def recorded(name):
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def arrange(name, case, convolutions):
    """Builds a network, its recorded weights, images and labels in float64."""
    record = recorded(name)
    shapes = json.loads(str(record["state_dict_shapes"]))
    variables = golden_weights.network_variables(name, shapes, np.float64)
    shape = tuple(int(length) for length in record[f"{case}/shape"])
    images, labels = golden_weights.inputs(f"{name}-{case}", shape)
    network = make_network(
        name, num_classes=21, convolutions=convolutions, dtype=jnp.float64
    )
    return network, variables, jnp.asarray(images, jnp.float64), labels


def check_evaluation(name, case, convolutions):
    network, variables, images, _ = arrange(name, case, convolutions)
    apply = jax.jit(functools.partial(network.apply, train=False))
    outputs, _ = apply(*variables, images)
    record = recorded(name)
    expected = record[f"{case}/eval_logits_float64"]
    np.testing.assert_allclose(outputs["logits"], expected, rtol=0, atol=TOLERANCE)
    expected = record[f"{case}/eval_pooled_float64"]
    np.testing.assert_allclose(outputs["features"], expected, rtol=0, atol=TOLERANCE)


def check_training(name, case, convolutions):
    network, (params, batch_stats), images, labels = arrange(name, case, convolutions)

    def loss_fn(params):
        outputs, updated = network.apply(params, batch_stats, images, train=True)
        log_probabilities = jax.nn.log_softmax(outputs["logits"])
        picked = log_probabilities[jnp.arange(len(labels)), labels]
        return -picked.mean(), (outputs["logits"], updated)

    step = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))
    (loss, (logits, updated)), gradients = step(params)
    record = {
        key.removeprefix(f"{case}/"): value for key, value in recorded(name).items()
    }
    expected = record["train_logits_float64"]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(loss, record["train_loss_float64"], rtol=TOLERANCE)

    gradients = flatten_dict(gradients)
    named = [
        np.asarray(gradients[golden_weights.bmjax_path(str(n))])
        for n in record["grad_names"]
    ]
    assert len(named) == len(gradients)
    norms = [np.linalg.norm(gradient) for gradient in named]
    np.testing.assert_allclose(norms, record["grad_norms_float64"], rtol=TOLERANCE)
    # The first four values in torch's order: OIHW, (outputs, inputs).
    heads = [
        (g.transpose(3, 2, 0, 1) if g.ndim == 4 else g.T).ravel()[:4] for g in named
    ]
    limit = TOLERANCE * np.max(norms)
    np.testing.assert_allclose(heads, record["grad_heads"], rtol=TOLERANCE, atol=limit)

    updated = flatten_dict(updated)
    named = [
        np.asarray(updated[golden_weights.bmjax_path(str(n))])
        for n in record["bn_names"]
    ]
    norms = [np.linalg.norm(statistic) for statistic in named]
    np.testing.assert_allclose(norms, record["bn_norms"], rtol=TOLERANCE)
    for key in (key for key in record if key.startswith("bn/")):
        path = golden_weights.bmjax_path(key.removeprefix("bn/"))
        # Recorded in float32: half a unit in the last place is 6e-8.
        np.testing.assert_allclose(updated[path], record[key], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("case", "convolutions"), [("n4_64", "xla"), ("n3_75x90", "auto")]
)
def test_resnet18_evaluates_as_torchvision(float64, case, convolutions):
    check_evaluation("resnet18", case, convolutions)


@pytest.mark.slow
def test_resnet18_trains_as_torchvision(float64):
    check_training("resnet18", "n4_64", "auto")


@pytest.mark.slow
@pytest.mark.parametrize("convolutions", ["xla", "matmul"])
def test_resnet18_trains_as_torchvision_in_every_lowering(float64, convolutions):
    check_training("resnet18", "n3_75x90", convolutions)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["n4_64", "n3_75x90", "n2_250"])
@pytest.mark.parametrize("name", ["resnet18", *DEEP])
def test_networks_evaluate_as_torchvision(float64, name, case):
    check_evaluation(name, case, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_deep_networks_train_as_torchvision(float64, name):
    check_training(name, "n4_64", "auto")


def test_the_small_stem_is_supcontrasts(float64):
    """The record is torch's, of SupContrast's stem: 3x3, stride 1, no pooling."""
    name = "resnet_tiny_cifar"
    record = recorded(name)
    shapes = json.loads(str(record["state_dict_shapes"]))
    variables = golden_weights.network_variables(name, shapes, np.float64)
    images, _ = golden_weights.inputs(name, tuple(record["shape"].tolist()))
    network = make_network(name, dtype=jnp.float64)
    apply = jax.jit(functools.partial(network.apply, train=False))
    outputs, _ = apply(*variables, jnp.asarray(images, jnp.float64))
    np.testing.assert_allclose(
        outputs["features"], record["features"], rtol=0, atol=TOLERANCE
    )


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        # torchvision's documented totals.
        ("resnet18", 1000, 11_689_512),
        ("resnet34", 1000, 21_797_672),
        ("resnet50", 1000, 25_557_032),
        ("resnet101", 1000, 44_549_160),
        ("resnext50_32x4d", 1000, 25_028_904),
        ("resnext101_32x8d", 1000, 88_791_336),
        # 1000 - 21 classes fewer, of 512 weights and a bias each.
        ("resnet18", 21, 11_689_512 - 979 * 513),
    ],
)
def test_parameters_count_as_torchvision_says(name, classes, expected):
    params, _ = abstract_init(make_network(name, num_classes=classes))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected


@pytest.mark.parametrize("name", RESNETS.specs)
def test_feature_dim_is_that_of_the_features(name):
    network = make_network(name, head="linear", embedding_dim=3)
    params, _ = abstract_init(network)
    assert params["head"]["fc"]["kernel"].shape == (feature_dim(name), 3)


def abstract_init(network):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), images)
