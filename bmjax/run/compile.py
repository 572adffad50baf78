"""The two programs that a run compiles: the state's beginning, and the step.

Both are compiled from shapes, so that no memory is taken before it is known how much
the step will want.
"""

import jax
import jax.numpy as jnp

from bmjax.devices.mesh import batch_sharded, replicated
from bmjax.run.build import Run, batch_shapes
from bmjax.training.step import (
    TrainState,
    TrainStep,
    make_accumulated_step,
    make_init,
    make_train_step,
)


def init_state(run: Run) -> TrainState:
    """Return the state before the first step, on every device."""
    init = make_init(run.method, run.optimizer, seed=run.config.seed)
    shapes = batch_shapes(run)

    def from_nothing() -> TrainState:
        # Only the batch's shape counts: XLA never makes these zeros.
        return init(
            jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        )

    return jax.jit(from_nothing, out_shardings=replicated(run.mesh))()


def init_shapes(run: Run) -> TrainState:
    """Return the shapes of the state; nothing is computed."""
    init = make_init(run.method, run.optimizer, seed=run.config.seed)
    return jax.eval_shape(init, batch_shapes(run))


def make_step(run: Run, chunks: int | None = None) -> TrainStep:
    """Return the step of a configuration, not compiled.

    Args:
        run: whose method and optimizer it is.
        chunks: that the batch is embedded in; None: `config.train.accumulate`.
    """
    seed = run.config.seed
    chunks = run.config.train.accumulate if chunks is None else chunks
    if chunks > 1:
        return make_accumulated_step(
            run.method, run.optimizer, seed=seed, chunks=chunks
        )
    return make_train_step(run.method, run.optimizer, seed=seed)


def jit_step(run: Run, chunks: int | None = None) -> jax.stages.Wrapped:
    """The step under jit: state replicated and donated, batch dealt out."""
    everywhere = replicated(run.mesh)
    return jax.jit(
        make_step(run, chunks),
        donate_argnums=0,
        in_shardings=(everywhere, batch_sharded(run.mesh)),
        out_shardings=(everywhere, everywhere),
    )


def compile_step(
    run: Run, state: TrainState, chunks: int | None = None
) -> jax.stages.Compiled:
    """Compile the train step; `state` may be its shapes alone."""
    return jit_step(run, chunks).lower(state, batch_shapes(run)).compile()
