"""What every method in the table promises; a newcomer is tested unasked."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.augment.recipes import Color, Crops, multi_crop
from bmjax.data.class_weights import class_weights
from bmjax.devices import mesh
from bmjax.methods import METHODS
from bmjax.methods._skeleton import SKELETON
from bmjax.models import make_network
from bmjax.settings import read_settings, with_steps
from bmjax.training.finite import NUMBERS
from bmjax.training.frozen_params import join_frozen, split_frozen
from bmjax.training.optimizer import make_optimizer
from bmjax.training.step import make_accumulated_step, make_init, make_train_step
from bmjax.types import Batch, Method
from tests.helpers.toy_network import toy_network, toy_recipe

COLOR = Color(0.5, 0.5, 0.8, 0.05, 0.2, 0.2, 0.0, 0.0, (0.1, 1.0))
RECIPE = multi_crop(
    (Crops(count=2, size=16, scale=(0.4, 1.0)),),
    COLOR,
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
)
STEPS = 5
# Laws are tried on a network and views that compile in a moment; on real ones in the
# slow stage.
SLOW = (
    *("mixup", "cutmix"),  # supervised with other views: nothing else can differ
    "ibot",  # the largest program; test_ibot.py has what is its own
)
ONE_BY_ONE = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "ibot" else [])
    for name in METHODS
]
TOY = [
    pytest.param(name, "toy", marks=[pytest.mark.slow] if name in SLOW else [])
    for name in METHODS
]
# A family without batch statistics, in a smoke variant's settings.
VIT = "vit_tiny"
VITS = [
    pytest.param(name, VIT, marks=[] if name == "supervised" else [pytest.mark.slow])
    for name in METHODS
]
REAL = [
    pytest.param(
        name,
        VIT if METHODS[name].needs_patches else "resnet_tiny",
        marks=pytest.mark.slow,
    )
    for name in METHODS
]


def make(name, network="toy"):
    """A method as the smoke variant of its configuration has it, for three classes."""
    config = importlib.import_module(f"configs.{name}").get_config("smoke")
    values = {k: v for k, v in config.method.items() if k != "name"}
    kind = METHODS[name].settings
    settings = with_steps(read_settings(kind, values, "config.method"), 1)
    if network == VIT and "koleo_weight" in settings:
        # The features of a few random blocks lie so near to each other that rounding
        # says which is KoLeo's nearest.
        settings["koleo_weight"] = 0.0
    if "class_weights" in settings:
        counts = dict.fromkeys("ABC", 10)
        settings["class_weights"] = class_weights(counts, settings["class_weights"])
        settings["logit_adjustment"] = None
    if config.model.head == "classifier":
        heads = {"num_classes": 3}
    else:
        # A network without batch statistics has none in its head either.
        head = config.model.head.removesuffix("_bn" if network == VIT else "")
        heads = {"head": head, "embedding_dim": 8}
    if network == "toy":
        return METHODS[name].make(toy_network(**heads), recipe=toy_recipe, **settings)
    return METHODS[name].make(make_network(network, **heads), recipe=RECIPE, **settings)


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

    def run(name, network, devices):
        if (name, network, devices) not in done:
            method = make(name, network)
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
            done[name, network, devices] = (losses, state, len(traces))
        return done[name, network, devices]

    return run


@pytest.mark.parametrize(("name", "network"), TOY + REAL)
def test_the_number_of_devices_does_not_change_losses(name, network, trained):
    one, four = trained(name, network, 1), trained(name, network, 4)
    # float32; four devices add the same numbers in another order.
    np.testing.assert_allclose(one[0], four[0], rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        one[1].params,
        four[1].params,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "network"),
    [("swav", VIT), ("swav", "dinov3_nano16"), ("supcon", VIT), ("dino", VIT)],
)
def test_the_number_of_devices_does_not_change_a_vision_transformer(
    name, network, trained
):
    # The second has registers, rotary positions and what is not trained.
    one, four = trained(name, network, 1), trained(name, network, 4)
    # float32; four devices add the same numbers in another order.
    np.testing.assert_allclose(one[0], four[0], rtol=1e-5)


@pytest.mark.parametrize(("name", "network"), VITS)
def test_every_method_trains_a_network_without_batch_statistics(name, network):
    method = make(name, network)
    optimizer = make_optimizer(
        lambda step: 0.01,
        name="adamw",
        momentum=0.9,
        weight_decay=0.04,
    )
    batch = Batch(*map(jnp.asarray, next(batches())))
    first = jax.jit(make_init(method, optimizer, seed=0))(batch)
    step = jax.jit(make_train_step(method, optimizer, seed=0))
    state = first
    for _ in range(2):
        state, metrics = step(state, batch)
        assert metrics.pop(NUMBERS).finite
        assert all(np.isfinite(value) for value in metrics.values())
    assert not jax.tree.leaves(state.batch_stats)
    for (path, before), after in zip(
        jax.tree_util.tree_leaves_with_path(first.params),
        jax.tree.leaves(state.params),
        strict=True,
    ):
        names = ".".join(entry.key for entry in path)
        # DINO's teacher follows its student; what a linear stage holds stays.
        stays = method.frozen == ("network.backbone",) and names.startswith(
            method.frozen
        )
        assert bool(jnp.any(before != after)) != stays, names


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_a_step_is_traced_once(name, trained):
    assert trained(name, "toy", 4)[2] == 1


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_state_holds_arrays_alone_and_steps_are_counted(name, trained):
    state = trained(name, "toy", 1)[1]
    assert int(state.step) == STEPS
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_prediction_is_deterministic_and_image_by_image(name, trained):
    state, method = trained(name, "toy", 1)[1], make(name)
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


def in_chunks(method, chunks):
    """The method embedding a whole batch, with batch norm and a key for each chunk."""

    def embed(key, params, batch_stats, state, views):
        pieces, keys = [], jax.random.split(key, chunks)
        for chunk in range(chunks):
            part = jax.tree.map(lambda leaf, c=chunk: leaf[c::chunks], views)
            piece, batch_stats = method.embed(
                keys[chunk], params, batch_stats, state, part
            )
            pieces.append(piece)
        return jax.tree.map(
            lambda *leaves: jnp.stack(leaves, axis=1).reshape(-1, *leaves[0].shape[1:]),
            *pieces,
        ), batch_stats

    return method._replace(embed=embed)


# Batch statistics are the network's: one method stands for the others.
@pytest.mark.parametrize(
    ("name", "network"),
    TOY + [case for case in REAL if case.values[0] == "swav"],
)
def test_an_accumulated_step_is_the_whole_batch_step(name, network):
    method, chunks, over = make(name, network), 2, mesh.make_mesh(2)
    optimizer = make_optimizer(
        lambda step: 0.05, momentum=0.9, weight_decay=1e-4, larc_trust=0.001
    )
    everywhere = mesh.replicated(over)
    shardings = {
        "in_shardings": (everywhere, mesh.batch_sharded(over)),
        "out_shardings": (everywhere, everywhere),
    }
    whole = jax.jit(
        make_train_step(in_chunks(method, chunks), optimizer, seed=0), **shardings
    )
    accumulated = jax.jit(
        make_accumulated_step(method, optimizer, seed=0, chunks=chunks), **shardings
    )
    init = jax.jit(make_init(method, optimizer, seed=0), out_shardings=everywhere)
    first = one = other = init(mesh.put_batch(next(batches()), over))
    for batch in batches():
        batch = mesh.put_batch(batch, over)
        one, metrics = whole(one, batch)
        other, others = accumulated(other, batch)
        assert metrics.pop(NUMBERS).finite
        for figure, value in metrics.items():
            np.testing.assert_allclose(
                others[figure], value, rtol=1e-5, atol=1e-6, err_msg=figure
            )
    # float32; the same sums in another order, through five updates.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one, other
    )
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), first, one)
    assert max(jax.tree.leaves(moved.params)) > 0


@pytest.mark.parametrize(
    "name", [case for case in ONE_BY_ONE if make(*case.values).frozen]
)
def test_frozen_parameters_cost_no_gradient_and_no_state_of_the_optimizer(name):
    method = make(name)
    optimizer = make_optimizer(lambda step: 0.05, momentum=0.9, weight_decay=0.1)
    batch = Batch(*map(jnp.asarray, next(batches())))
    first = make_init(method, optimizer, seed=0)(batch)
    trained, frozen = split_frozen(first.params, method.frozen)
    assert jax.tree.leaves(trained)
    assert jax.tree.leaves(frozen)
    momentum = sum(leaf.size for leaf in jax.tree.leaves(first.opt) if leaf.ndim)
    assert momentum == sum(leaf.size for leaf in jax.tree.leaves(trained))
    # `after_update` alone may move them, as a teacher.
    method = method._replace(after_update=Method._field_defaults["after_update"])
    after = jax.jit(make_train_step(method, optimizer, seed=0))(first, batch)[0]
    moved, held = split_frozen(after.params, method.frozen)
    jax.tree.map(np.testing.assert_array_equal, held, frozen)
    assert any(
        bool(jnp.any(new != old))
        for new, old in zip(
            jax.tree.leaves(moved), jax.tree.leaves(trained), strict=True
        )
    )
    joined = join_frozen(trained, frozen)
    assert jax.tree.structure(joined) == jax.tree.structure(first.params)


def test_a_method_that_freezes_what_it_does_not_have_is_a_mistake():
    with pytest.raises(ValueError, match=r"network\.spine.*no parameters"):
        split_frozen({"network": {"backbone": 1}}, ("network.spine",))


def test_the_linear_stage_leaves_the_backbones_statistics_alone(trained):
    method = make("linear")
    batch = Batch(*map(jnp.asarray, next(batches())))
    _, before, _ = method.init(
        jax.random.key(0), method.views(jax.random.key(1), batch)
    )
    after = trained("linear", "toy", 1)[1].batch_stats
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_mixup_at_weight_one_is_supervised(monkeypatch):
    from bmjax.methods import mixup, supervised

    monkeypatch.setattr(mixup, "draw_weight", lambda key, *, alpha: jnp.float32(1))
    network = toy_network(num_classes=3)
    weights = jnp.array([0.5, 1.0, 2.0])
    numbers = {"recipe": toy_recipe, "smoothing": 0.1, "class_weights": weights}
    mixed = mixup.make_mixup(network, alpha=0.1, **numbers)
    plain = supervised.make_supervised(network, **numbers)
    batch = Batch(*map(jnp.asarray, next(batches())))
    key = jax.random.key(0)
    views = mixed.views(key, batch)
    # The augmentation's key is the first half of mixup's.
    straight = plain.views(jax.random.split(key)[0], batch)
    np.testing.assert_array_equal(views.images[0], straight.images[0][:, :1])
    logits = jax.random.normal(key, (8, 3))
    np.testing.assert_allclose(
        mixed.loss(None, logits, (), views, 0)[0],
        plain.loss(None, logits, (), straight, 0)[0],
        rtol=1e-6,
    )


def test_the_skeleton_is_a_method_that_trains():
    network = toy_network(head="linear", embedding_dim=4)
    method = SKELETON.make(network, recipe=toy_recipe, strength=1.0)
    optimizer = make_optimizer(lambda step: 0.05, momentum=0.9, weight_decay=0.0)
    step = jax.jit(make_train_step(method, optimizer, seed=0))
    losses = []
    batch = Batch(*map(jnp.asarray, next(batches())))
    state = make_init(method, optimizer, seed=0)(batch)
    for _ in range(20):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]
    assert losses[-1] >= -1.001
