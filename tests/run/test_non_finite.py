"""Nothing of a state that is saved may be other than finite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.devices.mesh import make_mesh, replicated
from bmjax.errors import NonFiniteError
from bmjax.run.train import loop
from bmjax.training.step import TrainState


@pytest.mark.parametrize("part", ["params", "batch_stats"])
def test_a_state_that_is_not_finite_stops_the_run_before_it_is_saved(part):
    mesh = make_mesh(1)
    one = jax.device_put(jnp.ones(2), replicated(mesh))
    loss = jax.device_put(jnp.float32(1), replicated(mesh))
    bad = jax.device_put(jnp.array([1, jnp.inf]), replicated(mesh))
    state = TrainState(
        step=one, params={"w": one}, batch_stats={"mean": one}, method={}, opt={}
    )
    steps, saved = [], []

    def step(state, batch):
        steps.append(len(steps))
        if len(steps) == 3:
            state = dataclasses.replace(state, **{part: {"a": bad}})
        return state, {"loss": loss}

    images = np.zeros((1, 2, 2, 3), np.uint8)
    batches = iter(
        {"pixels": images, "labels": np.zeros(1, np.int32)} for _ in range(9)
    )
    with pytest.raises(NonFiniteError, match="after step 4"):
        loop(
            step,
            state,
            batches,
            mesh=mesh,
            first=0,
            total=9,
            save_every=2,
            log_every=100,
            save=lambda step, state: saved.append(step),
            log=lambda step, values: None,
        )
    assert saved == [2]
