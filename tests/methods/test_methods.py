"""What every method in the table promises; a newcomer is tested unasked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax import mesh
from bmjax.augment.recipes import Color, Crops, multi_crop
from bmjax.methods import METHODS
from bmjax.models import make_network
from bmjax.optim import make_optimizer
from bmjax.step import make_init, make_train_step
from bmjax.types import Batch

COLOR = Color(0.5, 0.5, 0.8, 0.05, 0.2, 0.2, 0.0, 0.0, (0.1, 1.0))
RECIPE = multi_crop(
    (Crops(count=2, size=16, scale=(0.4, 1.0)),),
    COLOR,
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
)
# How each method is made small; a new method adds its line.
CLASSIFIER = {"num_classes": 3}
SETTINGS = {
    "supervised": (CLASSIFIER, {"smoothing": 0.1}),
    "mixup": (CLASSIFIER, {"alpha": 0.5}),
    "cutmix": (CLASSIFIER, {"alpha": 0.5}),
    "linear": (CLASSIFIER, {}),
    "supcon": (
        {"head": "mlp", "embedding_dim": 8},
        {"temperature": 0.2, "base_temperature": 0.2},
    ),
    "swav": (
        {"head": "linear", "embedding_dim": 8},
        {
            "prototypes": 6,
            "queue_length": 8,
            "queue_from": 1,
            "epsilon": 0.05,
            "iterations": 3,
            "temperature": 0.1,
        },
    ),
}
STEPS = 5


def make(name):
    network, numbers = SETTINGS[name]
    network = make_network("resnet_tiny", **network)
    return METHODS[name](network, recipe=RECIPE, **numbers)


def batches():
    random = np.random.Generator(np.random.PCG64(0))
    for _ in range(STEPS):
        yield Batch(
            pixels=random.integers(0, 256, (8, 16, 16, 3), np.uint8),
            labels=random.integers(0, 3, 8).astype(np.int32),
        )


@pytest.fixture(scope="module")
def trained():
    """Five steps of each method on some number of devices: losses, state, traces."""
    done = {}

    def run(name, devices):
        if (name, devices) not in done:
            method = make(name)
            optimizer = make_optimizer(
                lambda step: 0.05, momentum=0.9, weight_decay=1e-4, larc_trust=0.001
            )
            traces = []
            plain = make_train_step(method, optimizer, seed=0)

            def counted(state, batch):
                traces.append(name)
                return plain(state, batch)

            over = mesh.make_mesh(devices)
            everywhere = mesh.replicated(over)
            step = jax.jit(
                counted,
                donate_argnums=0,
                in_shardings=(everywhere, mesh.batch_sharded(over)),
                out_shardings=(everywhere, everywhere),
            )
            init = jax.jit(
                make_init(method, optimizer, seed=0), out_shardings=everywhere
            )
            all_batches = [mesh.put_batch(batch, over) for batch in batches()]
            state = init(all_batches[0])
            losses = []
            for batch in all_batches:
                state, metrics = step(state, batch)
                losses.append(float(metrics["loss"]))
            done[name, devices] = (losses, state, len(traces))
        return done[name, devices]

    return run


@pytest.mark.parametrize("name", METHODS)
def test_the_number_of_devices_does_not_change_losses(name, trained):
    one, four = trained(name, 1), trained(name, 4)
    # float32; four devices add the same numbers in another order.
    np.testing.assert_allclose(one[0], four[0], rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        one[1].params,
        four[1].params,
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_traced_once(name, trained):
    assert trained(name, 4)[2] == 1


@pytest.mark.parametrize("name", METHODS)
def test_state_holds_arrays_alone_and_steps_are_counted(name, trained):
    state = trained(name, 1)[1]
    assert int(state.step) == STEPS
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("name", METHODS)
def test_prediction_is_deterministic_and_image_by_image(name, trained):
    state, method = trained(name, 1)[1], make(name)
    images = jax.random.normal(jax.random.key(0), (4, 16, 16, 3))
    predict = jax.jit(method.predict)
    together = predict(state.params, state.batch_stats, images)
    order = jnp.array([2, 0, 3, 1])
    permuted = predict(state.params, state.batch_stats, images[order])
    assert together["features"].shape[0] == 4
    alone = predict(state.params, state.batch_stats, images[:1])
    np.testing.assert_allclose(
        alone["features"], together["features"][:1], rtol=1e-4, atol=1e-5
    )
    for name_, value in together.items():
        np.testing.assert_allclose(value[order], permuted[name_], rtol=1e-4, atol=1e-5)
