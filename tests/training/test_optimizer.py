"""The optimizer against apex's LARC around torch's SGD, and its own laws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bmjax.training.optimizer import FOREVER, cosine_schedule, make_optimizer
from tests.conftest import GOLDEN, cases

OPTIM = np.load(GOLDEN / "losses_optim.npz")
SCHEDULES = np.load(GOLDEN / "swav_lr_schedule.npz")


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
