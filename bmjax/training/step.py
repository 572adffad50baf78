"""The state and the steps: pure, un-jitted, importable.

Whoever calls jits them, with donation and shardings; a test runs them plain.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bmjax.training.finite import NUMBERS, step_numbers, where_finite, with_faults
from bmjax.training.frozen_params import join_frozen, split_frozen
from bmjax.training.keys import key_for
from bmjax.types import Batch, Method, Tree, Views


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
    opt: Tree  # of the parameters that are trained


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
            opt=optimizer.init(split_frozen(params, method.frozen)[0]),
        )

    return init


def make_train_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
    withhold: bool = False,
) -> TrainStep:
    """Return train_step(state, batch) -> (state, metrics).

    The metrics are scalars, and a `finite.StepNumbers` under `finite.NUMBERS`.

    Args:
        method: what is learned.
        optimizer: the updates.
        seed: of the run.
        withhold: a step whose numbers are not all finite leaves the state as it was,
            but for the count of steps. If not, the state takes whatever comes out.
    """

    def gradients_of(key: Array, state: TrainState, views: Views):
        trained, frozen = split_frozen(state.params, method.frozen)

        def objective(trained):
            params = join_frozen(trained, frozen)
            embeddings, batch_stats = method.embed(
                key, params, state.batch_stats, state.method, views
            )
            value, (method_state, metrics) = method.loss(
                params, embeddings, state.method, views, state.step
            )
            return value, (batch_stats, method_state, metrics)

        gradients, rest = jax.grad(objective, has_aux=True)(trained)
        return gradients, *rest

    return _make_step(gradients_of, method, optimizer, seed=seed, withhold=withhold)


def make_accumulated_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
    chunks: int,
    withhold: bool = False,
) -> TrainStep:
    """Return a train_step that embeds the batch in chunks: less memory, same gradient.

    All chunks are embedded without keeping what a gradient needs; the loss and its
    gradient are taken over the embeddings of the whole batch at once, so that Sinkhorn
    and SupCon see all of it; then each chunk is embedded again and its part of that
    gradient is pulled back to the parameters. The sum is the whole batch's gradient,
    for one more forward pass. Batch norm alone differs: it sees one chunk at a time,
    and its running statistics move once a chunk.

    Args:
        method: whose `embed` works image by image.
        optimizer: the updates.
        seed: of the run.
        chunks: by which the batch divides. Image i goes to chunk i % chunks, so that
            each device holds an equal part of every chunk.
        withhold: as for `make_train_step`.
    """

    def split(leaf: Array) -> Array:
        return jnp.moveaxis(leaf.reshape(-1, chunks, *leaf.shape[1:]), 1, 0)

    def merge(leaf: Array) -> Array:
        return jnp.moveaxis(leaf, 0, 1).reshape(-1, *leaf.shape[2:])

    def gradients_of(key: Array, state: TrainState, views: Views):
        # The second embedding of a chunk draws what the first one drew.
        chunked = jax.random.split(key, chunks), jax.tree.map(split, views)

        def forward(batch_stats, keyed_chunk):
            chunk_key, chunk = keyed_chunk
            embeddings, batch_stats = method.embed(
                chunk_key, state.params, batch_stats, state.method, chunk
            )
            return batch_stats, embeddings

        batch_stats, embeddings = jax.lax.scan(forward, state.batch_stats, chunked)

        trained, frozen = split_frozen(state.params, method.frozen)

        def coupled(trained, embeddings):
            params = join_frozen(trained, frozen)
            return method.loss(params, embeddings, state.method, views, state.step)

        (direct, cotangents), (method_state, metrics) = jax.grad(
            coupled, argnums=(0, 1), has_aux=True
        )(trained, jax.tree.map(merge, embeddings))

        def backward(total, piece):
            (chunk_key, chunk), cotangent = piece

            def embed(trained):
                params = join_frozen(trained, frozen)
                # Training's embeddings do not depend on the running statistics.
                return method.embed(
                    chunk_key, params, state.batch_stats, state.method, chunk
                )[0]

            (part,) = jax.vjp(embed, trained)[1](cotangent)
            return jax.tree.map(jnp.add, total, part), None

        gradients, _ = jax.lax.scan(
            backward, direct, (chunked, jax.tree.map(split, cotangents))
        )
        return gradients, batch_stats, method_state, metrics

    return _make_step(gradients_of, method, optimizer, seed=seed, withhold=withhold)


def _make_step(
    gradients_of: Callable[[Array, TrainState, Views], tuple[Tree, Tree, Tree, dict]],
    method: Method,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
    withhold: bool,
) -> TrainStep:
    """Put a way to the gradients between the views and the update."""

    def train_step(
        state: TrainState, batch: Batch
    ) -> tuple[TrainState, dict[str, Array]]:
        views = method.views(key_for(seed, "views", state.step), batch)
        key = key_for(seed, "embed", state.step)
        gradients, batch_stats, method_state, metrics = gradients_of(key, state, views)
        gradients = with_faults("step.gradient", gradients, state.step)
        trained, frozen = split_frozen(state.params, method.frozen)
        updates, opt = optimizer.update(gradients, state.opt, trained)
        params = join_frozen(optax.apply_updates(trained, updates), frozen)
        params, method_state = method.after_update(params, method_state, state.step)
        params = with_faults("step.parameter", params, state.step)
        batch_stats = with_faults("step.statistic", batch_stats, state.step)
        loss = with_faults("step.loss", metrics["loss"], state.step)
        after = TrainState(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            method=method_state,
            opt=opt,
        )
        numbers = step_numbers(loss, gradients, params, batch_stats)
        if withhold:
            kept = where_finite(numbers.finite, after, state)
            after = replace(kept, step=after.step)
        norm = optax.global_norm(gradients)
        figures = {**metrics, "loss": loss, "gradient_norm": norm, NUMBERS: numbers}
        return after, figures

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
