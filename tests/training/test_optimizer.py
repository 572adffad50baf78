"""The optimizers against apex's LARC, torch's SGD and AdamW, and their own laws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bmjax.errors import ConfigError
from bmjax.training.optimizer import (
    OPTIMIZERS,
    cosine_schedule,
    decayed,
    make_optimizer,
)
from tests.conftest import GOLDEN, cases

OPTIM = np.load(GOLDEN / "losses_optim.npz")
SCHEDULES = np.load(GOLDEN / "swav_lr_schedule.npz")

FOREVER = 2**31 - 1  # steps


@pytest.mark.parametrize(
    ("case", "trust"),
    [
        ("sgd", 0.0),
        ("sgd_wd01", 0.0),
        ("larc", 0.001),
        ("larc_wd01", 0.001),
        ("larc_zero_param_and_zero_grad", 0.001),
    ],
)
def test_twelve_steps_agree_with_the_reference(case, trust, float64):
    rates = jnp.asarray(OPTIM[f"{case}/lr"])
    optimizer = make_optimizer(
        lambda step: rates[step],
        momentum=0.9,
        weight_decay=float(OPTIM[f"{case}/weight_decay"]),
        larc_trust=trust,
    )
    params = {n: jnp.asarray(OPTIM[f"{case}/{n}"][0]) for n in ("p0", "p1")}
    state = optimizer.init(params)
    for step in range(12):
        gradients = {
            f"p{i}": jnp.asarray(OPTIM[f"{case}/g{i}"][step]) for i in range(2)
        }
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        for name, value in params.items():
            expected = OPTIM[f"{case}/{name}"][step + 1]
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("case", cases(SCHEDULES))
def test_schedule_agrees_with_the_reference(case, float64):
    def read(name):
        return SCHEDULES[f"{case}/{name}"]

    per_epoch = int(read("steps_per_epoch"))
    schedule = cosine_schedule(
        base=float(read("base_lr")),
        final=float(read("final_lr")),
        steps=int(read("epochs")) * per_epoch,
        warmup_steps=int(read("warmup_epochs")) * per_epoch,
        start=float(read("start_warmup")),
    )
    found = jax.vmap(schedule)(jnp.arange(len(read("lr"))))
    np.testing.assert_allclose(found, read("lr"), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("trust", [0.0, 0.001])
def test_frozen_parameters_get_no_update_no_decay_and_no_momentum(trust):
    params = {"network": jnp.ones((2, 2)), "prototypes": jnp.ones((2, 3))}
    gradients = jax.tree.map(lambda p: 0.5 * jnp.ones_like(p), params)

    def run(frozen, first):
        optimizer = make_optimizer(
            lambda step: 0.1,
            momentum=0.9,
            weight_decay=0.01,
            larc_trust=trust,
            frozen={"prototypes": frozen},
        )
        now, state = params, optimizer.init(params)
        seen = []
        for _ in range(first + 2):
            updates, state = optimizer.update(gradients, state, now)
            now = optax.apply_updates(now, updates)
            seen.append(now["prototypes"])
        return seen

    frozen = run(3, 3)
    for value in frozen[:3]:
        np.testing.assert_array_equal(value, params["prototypes"])
    # Thawed, it moves as a parameter that has no past.
    np.testing.assert_allclose(frozen[3], run(0, 0)[0], rtol=1e-6)
    np.testing.assert_allclose(frozen[4], run(0, 0)[1], rtol=1e-6)


def test_freezing_a_part_freezes_all_below_it_and_nothing_beside_it():
    params = {
        "network": {"backbone": {"a": jnp.ones(2)}, "fc": {"b": jnp.ones(2)}},
        "networks": jnp.ones(2),
    }
    optimizer = make_optimizer(
        lambda step: 0.1,
        momentum=0.9,
        weight_decay=0.01,
        frozen={"network.backbone": FOREVER},
    )
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    moved = jax.tree.map(lambda u: bool(jnp.any(u != 0)), updates)
    assert moved == {
        "network": {"backbone": {"a": False}, "fc": {"b": True}},
        "networks": True,
    }


def test_a_held_rate_changes_once_an_epoch_to_what_the_plain_one_is_there():
    numbers = {"base": 0.1, "final": 0.01, "steps": 30, "warmup_steps": 0}
    plain = cosine_schedule(**numbers)
    held = cosine_schedule(**numbers, hold=10)
    for step in range(30):
        np.testing.assert_allclose(held(step), plain(step // 10 * 10), rtol=1e-6)


def params_of_all_kinds():
    """A tree with every kind of parameter that a network can have, of values != 0."""
    shapes = {
        "network": {
            "backbone": {
                "class_token": (1, 1, 4),
                "positions": (1, 5, 4),
                "norm": {"scale": (4,), "bias": (4,)},
                "patch_embed": {"kernel": (2, 2, 3, 4), "bias": (4,)},
            },
            "fc": {"kernel": (4, 3), "bias": (3,)},
        },
        "prototypes": (4, 6),
    }
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda shape: jnp.asarray(random.normal(size=shape)),
        shapes,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def run_steps(optimizer, params, gradients_of, steps):
    """Make updates with made-up gradients; returns the parameters after each."""
    state, seen = optimizer.init(params), []
    for step in range(steps):
        updates, state = optimizer.update(gradients_of(step), state, params)
        params = optax.apply_updates(params, updates)
        seen.append(params)
    return seen


def gradients_like(params, step):
    random = np.random.default_rng(step)
    return jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=leaf.shape)), params
    )


def adamw_written_out(value, gradients, *, rates, decays, betas, epsilon=1e-8):
    """AdamW as torch.optim.AdamW documents it, one parameter in numpy."""
    value, mean, square = np.array(value), 0.0, 0.0
    seen = []
    for step, gradient in enumerate(gradients):
        gradient = np.asarray(gradient)
        value = value * (1 - rates[step] * decays[step])
        mean = betas[0] * mean + (1 - betas[0]) * gradient
        square = betas[1] * square + (1 - betas[1]) * gradient**2
        corrected = mean / (1 - betas[0] ** (step + 1))
        root = np.sqrt(square / (1 - betas[1] ** (step + 1)))
        value = value - rates[step] * corrected / (root + epsilon)
        seen.append(value)
    return seen


SPARED = ("bias", "scale", "class_token", "positions")


def test_adamw_is_torchs_and_decays_kernels_and_prototypes_alone(float64):
    params, betas, steps = params_of_all_kinds(), (0.8, 0.95), 6
    rate = cosine_schedule(base=0.1, final=0.01, steps=steps)
    decay = cosine_schedule(base=0.04, final=0.4, steps=steps)
    optimizer = make_optimizer(
        rate, name="adamw", momentum=0.9, weight_decay=decay, betas=betas
    )
    gradients = [gradients_like(params, step) for step in range(steps)]
    seen = run_steps(optimizer, params, gradients.__getitem__, steps)
    read = lambda tree, path: dict(jax.tree_util.tree_leaves_with_path(tree))[path]
    for path, value in jax.tree_util.tree_leaves_with_path(params):
        spared = path[-1].key in SPARED
        expected = adamw_written_out(
            value,
            [read(tree, path) for tree in gradients],
            rates=[float(rate(step)) for step in range(steps)],
            decays=[0.0 if spared else float(decay(step)) for step in range(steps)],
            betas=betas,
        )
        for step in range(steps):
            np.testing.assert_allclose(
                read(seen[step], path), expected[step], rtol=1e-12, err_msg=str(path)
            )


def test_decay_takes_from_exactly_the_matrices_that_multiply():
    found = {
        ".".join(entry.key for entry in path): takes
        for path, takes in jax.tree_util.tree_leaves_with_path(
            decayed(params_of_all_kinds())
        )
    }
    assert {name for name, takes in found.items() if takes} == {
        "network.backbone.patch_embed.kernel",
        "network.fc.kernel",
        "prototypes",
    }


def test_a_parameter_thawed_under_adamw_moves_as_one_that_has_no_past():
    params = params_of_all_kinds()
    numbers = {"name": "adamw", "momentum": 0.9, "weight_decay": 0.05}
    gradients = [gradients_like(params, step) for step in range(5)]
    late = make_optimizer(
        lambda step: 0.1,
        frozen={"prototypes": 3, "network.backbone": FOREVER},
        **numbers,
    )
    seen = run_steps(late, params, gradients.__getitem__, 5)
    for tree in seen[:3]:
        np.testing.assert_array_equal(tree["prototypes"], params["prototypes"])
    plain = make_optimizer(lambda step: 0.1, **numbers)
    from_there = run_steps(plain, params, gradients[3:].__getitem__, 2)
    for step in range(2):
        np.testing.assert_allclose(
            seen[3 + step]["prototypes"], from_there[step]["prototypes"], rtol=1e-5
        )
    for still, begun in zip(
        jax.tree.leaves(seen[-1]["network"]["backbone"]),
        jax.tree.leaves(params["network"]["backbone"]),
        strict=True,
    ):
        np.testing.assert_array_equal(still, begun)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipping_bounds_the_length_of_the_whole_gradient_and_keeps_its_direction(name):
    params = params_of_all_kinds()
    frozen = {"network.backbone": FOREVER}
    numbers = {"name": name, "momentum": 0.0, "weight_decay": 0.0, "frozen": frozen}
    clipped = make_optimizer(lambda step: 1.0, clip_norm=0.5, **numbers)
    plain = make_optimizer(lambda step: 1.0, **numbers)
    gradients = gradients_like(params, 0)
    # The length is that of what moves: frozen parameters do not count.
    moving = {**gradients, "network": {"fc": gradients["network"]["fc"]}}
    factor = 0.5 / float(optax.global_norm(moving))
    assert factor < 1
    scaled = jax.tree.map(lambda leaf: leaf * factor, gradients)
    short = jax.tree.map(lambda leaf: leaf * factor * 0.9, gradients)
    for given, expected in ((gradients, scaled), (short, short)):
        found, _ = clipped.update(given, clipped.init(params), params)
        wanted, _ = plain.update(expected, plain.init(params), params)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
            found,
            wanted,
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_array_can_be_clipped_by_itself(name):
    """DINO's clip_gradients: g min(1, length / (|g| + 1e-6)), array by array."""
    params = params_of_all_kinds()
    numbers = {"name": name, "momentum": 0.0, "weight_decay": 0.0}
    clipped = make_optimizer(lambda step: 1.0, clip_norm=2.0, clip_each=True, **numbers)
    plain = make_optimizer(lambda step: 1.0, **numbers)
    gradients = gradients_like(params, 0)
    sizes = jax.tree.map(lambda leaf: np.linalg.norm(np.ravel(leaf)), gradients)
    assert min(jax.tree.leaves(sizes)) < 2.0 < max(jax.tree.leaves(sizes))
    by_hand = jax.tree.map(
        lambda leaf, size: leaf * min(1.0, 2.0 / (size + 1e-6)), gradients, sizes
    )
    found, _ = clipped.update(gradients, clipped.init(params), params)
    wanted, _ = plain.update(by_hand, plain.init(params), params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
        found,
        wanted,
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_factor_of_the_rate_scales_the_whole_update_of_its_parameter(name):
    params = params_of_all_kinds()
    factor = lambda path: 0.25 if "backbone" in path else 1.0
    numbers = {"name": name, "momentum": 0.9, "weight_decay": 0.1}
    slow = make_optimizer(lambda step: 0.1, layer_scale=factor, **numbers)
    plain = make_optimizer(lambda step: 0.1, **numbers)
    gradients = gradients_like(params, 0)
    found, _ = slow.update(gradients, slow.init(params), params)
    whole, _ = plain.update(gradients, plain.init(params), params)
    for (path, update), expected in zip(
        jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(whole), strict=True
    ):
        expected = expected * factor(tuple(entry.key for entry in path))
        np.testing.assert_allclose(update, expected, rtol=1e-6)


def test_sgd_with_a_schedule_of_decay_takes_each_steps_own():
    params = {"kernel": jnp.ones(2)}
    decay = cosine_schedule(base=0.1, final=0.5, steps=4)
    optimizer = make_optimizer(lambda step: 1.0, momentum=0.0, weight_decay=decay)
    seen = run_steps(optimizer, params, lambda step: {"kernel": jnp.zeros(2)}, 4)
    expected = np.cumprod([1 - float(decay(step)) for step in range(4)])
    np.testing.assert_allclose([tree["kernel"][0] for tree in seen], expected, 1e-5)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"name": "adam"}, r"config\.optim\.name = 'adam' is not known .*adamw"),
        ({"name": "adamw", "larc_trust": 0.001}, "larc_trust = 0.001 .*'sgd'"),
        ({"name": "adamw", "betas": (0.9, 1.0)}, r"betas = \(0.9, 1.0\) .*below 1"),
        (
            {"larc_trust": 0.001, "weight_decay": lambda step: 0.1},
            "final_weight_decay .*LARC",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_refused_in_one_sentence(numbers, message):
    numbers = {"momentum": 0.9, "weight_decay": 0.0, **numbers}
    with pytest.raises(ConfigError, match=message):
        make_optimizer(lambda step: 0.1, **numbers)
