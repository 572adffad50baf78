"""SwAV: swapping assignments between views (section 3.2 of the paper)."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bmjax.augment.recipes import Recipe
from bmjax.errors import ConfigError
from bmjax.losses import sinkhorn, swapped_prediction
from bmjax.methods.collapse_warning import watch_for_collapse
from bmjax.methods.embed_views import (
    PROJECTIONS,
    embed_views,
    make_predict,
    make_views,
    unit,
)
from bmjax.methods.prototype_count import too_many_prototypes
from bmjax.methods.spec import MethodSpec, RunFacts, Watch
from bmjax.settings import Number, duration, number
from bmjax.types import Method, Network

_TWIN = 0.99  # cosine from which two prototypes are one (ours)
# The large crops (facebookresearch/swav, crops_for_assign).
_ASSIGNING_VIEWS = 2
# Epsilon below which bfloat16's scores, good to 1/256, decide the codes (ours).
_COARSE = 0.02


@dataclass(frozen=True)
class SwavSettings:
    """Of config.method."""

    prototypes: int = number(2, 10**6)
    queue_length: int = number(0, 10**7)
    queue_from: str = duration()
    epsilon: Number = number(1e-4, 1e3)
    iterations: int = number(1, 1000)
    temperature: Number = number(1e-4, 1e3)


class SwavState(NamedTuple):
    """What the next step needs besides the parameters."""

    queue: Array  # float32 [assigning views, Q, D], newest first


def make_swav(
    network: Network,
    *,
    recipe: Recipe,
    prototypes: int,
    queue_length: int,
    queue_from: int,
    epsilon: float,
    iterations: int,
    temperature: float,
) -> Method:
    """Learn without labels: each view predicts the other views' prototype codes.

    Embeddings of all views are compared with K prototypes on the unit sphere. The two
    large views' scores, together with those of the embeddings in the queue, are made
    into codes by Sinkhorn, one transport for each view (vmapped); every other view
    predicts them (equations 5 to 9). Prototypes are parameters, brought back to length
    1 after each update; for how long they stand still is the optimizer's affair.

    Args:
        network: with a head that gives `embeddings` [B, D].
        recipe: the augmentation; at least two views of the first size.
        prototypes: K.
        queue_length: Q, embeddings of earlier batches for each assigning view; 0: none.
        queue_from: step from which the queue is being filled; it is used once full,
            Q / B steps later, and never holds the current batch.
        epsilon: Sinkhorn's smoothness.
        iterations: Sinkhorn's rounds.
        temperature: of the prediction.
    """
    transport = jax.vmap(partial(sinkhorn, epsilon=epsilon, iterations=iterations))

    def init(key, views):
        network_key, prototype_key = jax.random.split(key)
        first = tuple(images[:, 0] for images in views.images)
        network_params, batch_stats = network.init(network_key, first)
        outputs, _ = jax.eval_shape(
            partial(network.apply, train=False), network_params, batch_stats, first
        )
        embedding_dim = outputs["embeddings"].shape[-1]
        directions = jax.random.normal(prototype_key, (embedding_dim, prototypes))
        params = {"network": network_params, "prototypes": unit(directions, axis=0)}
        queue = jnp.zeros((_ASSIGNING_VIEWS, queue_length, embedding_dim))
        return params, batch_stats, SwavState(queue=queue)

    def embed(key, params, batch_stats, state, views):
        del state
        return embed_views(
            network, params["network"], batch_stats, views.images, key=key
        )

    def loss(params, embeddings, state, views, step):
        batch, number_of_views, _ = embeddings.shape
        scores = jnp.moveaxis(embeddings @ params["prototypes"], 1, 0)  # [V, B, K]
        fixed = jax.lax.stop_gradient(scores[:_ASSIGNING_VIEWS])

        def with_queue():
            old = state.queue @ jax.lax.stop_gradient(params["prototypes"])
            return transport(jnp.concatenate([old, fixed], axis=1))[:, queue_length:]

        steps_to_fill = -(-queue_length // batch)
        use_queue = (queue_length > 0) & (step >= queue_from + steps_to_fill)
        if queue_length:
            codes = jax.lax.cond(use_queue, with_queue, lambda: transport(fixed))
        else:
            codes = transport(fixed)
        predict_from = partial(swapped_prediction, temperature=temperature)
        value = sum(
            predict_from(scores[view], codes[source]).mean()
            for source in range(_ASSIGNING_VIEWS)
            for view in range(number_of_views)
            if view != source
        ) / (_ASSIGNING_VIEWS * (number_of_views - 1))

        newest = jnp.moveaxis(embeddings[:, :_ASSIGNING_VIEWS], 1, 0)
        queue = jnp.concatenate([jax.lax.stop_gradient(newest), state.queue], axis=1)
        return value, (
            SwavState(queue=queue[:, :queue_length]),
            _metrics(value, embeddings, codes, params["prototypes"])
            | {"queue_age": jnp.where(use_queue, steps_to_fill, 0)},
        )

    def after_update(params, state, step):
        del step
        prototypes = unit(params["prototypes"], axis=0)
        return {**params, "prototypes": prototypes}, state

    return Method(
        init=init,
        views=make_views(recipe),
        embed=embed,
        loss=loss,
        after_update=after_update,
        predict=make_predict(network),
    )


def _metrics(
    value: Array, embeddings: Array, codes: Array, prototypes: Array
) -> dict[str, Array]:
    """How the run is: each is a scalar.

    loss_over_ln_k: 1 is a collapsed or untrained network.
    assignment_entropy: of the codes, over ln K; 1 is an assignment that says nothing.
    prototypes_used: share of the prototypes that are some image's first choice.
    prototypes_duplicate: share that has a twin, another at a cosine above 0.99.
    embedding_spread: standard deviation of the embeddings, 1 when they fill the sphere
        and 0 when they are one point.
    queue_age (set by the caller): how many steps ago the oldest embedding in use was
        made; 0 while the queue is not used.
    """
    dim, count = prototypes.shape
    chosen = jnp.argmax(codes, axis=-1)
    used = jnp.zeros(count).at[chosen.reshape(-1)].set(1.0)
    entropy = -jnp.sum(jax.scipy.special.xlogy(codes, codes), axis=-1).mean()
    spread = jnp.std(embeddings.reshape(-1, dim), axis=0).mean() * jnp.sqrt(dim)
    alike = jnp.where(jnp.eye(count, dtype=bool), -1.0, prototypes.T @ prototypes)
    ln_k = jnp.log(count) if count > 1 else 1.0
    metrics = {
        "loss": value,
        "loss_over_ln_k": value / ln_k,
        "assignment_entropy": entropy / ln_k,
        "prototypes_used": used.mean(),
        "prototypes_duplicate": (alike.max(axis=1) > _TWIN).mean(),
        "embedding_spread": spread,
    }
    return jax.lax.stop_gradient(metrics)


def _check(settings: SwavSettings, batch_size: int) -> None:
    queue = settings.queue_length
    if queue % batch_size:
        raise ConfigError(
            f"config.method.queue_length = {queue} is no multiple of "
            f"config.data.batch_size = {batch_size}; use "
            f"{queue // batch_size * batch_size} or "
            f"{(queue // batch_size + 1) * batch_size}"
        )


def _warn(settings: SwavSettings, facts: RunFacts) -> list[str]:
    prototypes, queue = settings.prototypes, settings.queue_length
    batch, images, steps = facts.batch_size, facts.training_images, facts.steps
    notes = too_many_prototypes(prototypes, images)
    if not notes and prototypes > batch + queue:
        notes.append(
            f"config.method.prototypes = {prototypes:,}, but batch and queue hold "
            f"{batch + queue:,} images to share among them; use fewer, or a queue of "
            f"{-(-(prototypes - batch) // batch) * batch:,}"
        )
    if queue >= images:
        notes.append(
            f"config.method.queue_length = {queue:,} holds every one of the "
            f"{images:,} training images, the current ones included; shorten it"
        )
    fill = -(-queue // batch)
    if queue and 0 < steps <= facts.to_steps(settings.queue_from) + fill:
        notes.append(
            f"config.method.queue_from = {settings.queue_from} and {fill} steps to "
            f"fill it are the whole run of {steps:,} steps: the queue is never used; "
            "start it earlier"
        )
    if facts.dtype == "bfloat16" and settings.epsilon < _COARSE:
        notes.append(
            f"config.method.epsilon = {settings.epsilon:g} is finer than bfloat16 "
            f"tells scores apart; use {_COARSE:g} or more, or "
            "--config.model.dtype=float32"
        )
    if 0 < steps <= facts.to_steps(facts.freeze_prototypes):
        notes.append(
            f"config.optim.freeze_prototypes = {facts.freeze_prototypes} is the whole "
            "run: prototypes never learn; shorten it"
        )
    return notes


def _watch(settings: SwavSettings, facts: RunFacts) -> Watch:
    del settings
    # Ours: an epoch to settle, beyond what holds the prototypes still, and one to wait.
    held = facts.to_steps(facts.freeze_prototypes)
    return watch_for_collapse(
        after=held + facts.steps_per_epoch, patience=facts.steps_per_epoch
    )


SWAV = MethodSpec(
    title="SwAV",
    make=make_swav,
    settings=SwavSettings,
    heads=PROJECTIONS,
    large_views=_ASSIGNING_VIEWS,
    check=_check,
    warn=_warn,
    watch=_watch,
    non_finite_cure="raise config.method.epsilon",
)
