"""The state and the steps: pure, un-jitted, importable.

Whoever calls jits them, with donation and shardings; a test runs them plain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bmjax.keys import key_for
from bmjax.types import Batch, Method, Tree


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Everything that a run carries from step to step: arrays only.

    Random keys are not in it: they are functions of (seed, name, step).
    """

    # Tree, not Array: jax also builds states of shapes and of shardings.
    step: Tree  # int32 [], updates made so far
    params: Tree
    batch_stats: Tree
    method: Tree  # what the method remembers, as SwAV's queue
    opt: Tree


TrainStep = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Array]]]


def make_init(
    method: Method, optimizer: optax.GradientTransformation, *, seed: int
) -> Callable[[Batch], TrainState]:
    """Return init(batch): the state before the first step; of the batch only shapes."""

    def init(batch: Batch) -> TrainState:
        views = method.views(key_for(seed, "init views"), batch)
        params, batch_stats, state = method.init(key_for(seed, "init"), views)
        return TrainState(
            step=jnp.zeros([], jnp.int32),
            params=params,
            batch_stats=batch_stats,
            method=state,
            opt=optimizer.init(params),
        )

    return init


def make_train_step(
    method: Method, optimizer: optax.GradientTransformation, *, seed: int
) -> TrainStep:
    """Return train_step(state, batch) -> (state, metrics); metrics are scalars."""

    def train_step(
        state: TrainState, batch: Batch
    ) -> tuple[TrainState, dict[str, Array]]:
        views = method.views(key_for(seed, "views", state.step), batch)

        def objective(params):
            embeddings, batch_stats = method.embed(
                params, state.batch_stats, state.method, views
            )
            value, (method_state, metrics) = method.loss(
                params, embeddings, state.method, views, state.step
            )
            return value, (batch_stats, method_state, metrics)

        gradients, (batch_stats, method_state, metrics) = jax.grad(
            objective, has_aux=True
        )(state.params)
        updates, opt = optimizer.update(gradients, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        params, method_state = method.after_update(params, method_state, state.step)
        return TrainState(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            method=method_state,
            opt=opt,
        ), {**metrics, "gradient_norm": optax.global_norm(gradients)}

    return train_step


def make_predict_step(
    method: Method, prepare: Callable[[Array], Array]
) -> Callable[[Tree, Tree, Array], dict[str, Array]]:
    """Return predict_step(params, batch_stats, pixels) -> {"features", "logits"?}.

    Args:
        method: whose `predict` is applied.
        prepare: uint8 pixels to normalized images, without randomness.
    """

    def predict_step(params: Tree, batch_stats: Tree, pixels: Array):
        return method.predict(params, batch_stats, prepare(pixels))

    return predict_step
