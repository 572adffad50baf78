"""Compile the state initializer and the train step ahead of time.

Both are compiled from shapes, so that no memory is taken before it is known how much
the step needs.
"""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from bmjax.devices.mesh import batch_sharded, replicated
from bmjax.run.build import Learner
from bmjax.training.step import (
    TrainState,
    TrainStep,
    make_accumulated_step,
    make_init,
    make_train_step,
)
from bmjax.types import Batch


def init_state(learner: Learner, shapes: Batch, mesh: Mesh) -> TrainState:
    """Return the state before the first step, on every device.

    Args:
        learner: method, optimizer and seed.
        shapes: of a batch, as `build.batch_shapes` gives them.
        mesh: the devices.
    """
    init = make_init(learner.method, learner.optimizer, seed=learner.seed)

    def from_nothing() -> TrainState:
        # Only the batch's shape counts: XLA never makes these zeros.
        return init(
            jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        )

    return jax.jit(from_nothing, out_shardings=replicated(mesh))()


def init_shapes(learner: Learner, shapes: Batch) -> TrainState:
    """Return the shapes of the state; nothing is computed."""
    init = make_init(learner.method, learner.optimizer, seed=learner.seed)
    return jax.eval_shape(init, shapes)


def make_step(learner: Learner) -> TrainStep:
    """Return the train step, not compiled, in `learner.chunks` chunks."""
    method, optimizer = learner.method, learner.optimizer
    rest = {"seed": learner.seed, "withhold": learner.skips}
    if learner.chunks > 1:
        return make_accumulated_step(method, optimizer, chunks=learner.chunks, **rest)
    return make_train_step(method, optimizer, **rest)


def jit_step(learner: Learner, mesh: Mesh) -> jax.stages.Wrapped:
    """The step under jit: state replicated and donated, batch dealt out."""
    everywhere = replicated(mesh)
    return jax.jit(
        make_step(learner),
        donate_argnums=0,
        in_shardings=(everywhere, batch_sharded(mesh)),
        out_shardings=(everywhere, everywhere),
    )


def compile_step(
    learner: Learner, state: TrainState, shapes: Batch, mesh: Mesh
) -> jax.stages.Compiled:
    """Compile the train step; `state` may be its shapes alone."""
    return jit_step(learner, mesh).lower(state, shapes).compile()
