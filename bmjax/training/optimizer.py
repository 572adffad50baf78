"""SGD as the papers ran it: LARC, frozen parameters, momentum, a schedule, in order.

`optax.lars` is not this optimizer: it puts weight decay inside the trust ratio's norm
and applies momentum after the learning rate. Here, as in apex's LARC around torch's
SGD, the rate multiplies the momentum buffer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bmjax.types import Tree

FOREVER = 2**31 - 1  # steps


def cosine_schedule(
    *,
    base: float,
    final: float,
    steps: int,
    warmup_steps: int = 0,
    start: float = 0.0,
    hold: int = 1,
) -> optax.Schedule:
    """Learning rate by step: linear from `start` to `base`, then half a cosine.

    Both ends of the warm-up are taken, so `base` comes twice: at the last warm-up step
    and at the first cosine step (facebookresearch/swav, main_swav.py, lines 178-182).
    The cosine would reach `final` one step after the last. The rate changes every
    `hold` steps: with those of an epoch it is torch's CosineAnnealingLR, stepped by
    epoch.
    """

    def schedule(step: int | Array) -> Array:
        step = jnp.asarray(step // hold * hold, jnp.result_type(float))
        warm = start + (base - start) * step / max(warmup_steps - 1, 1)
        turn = jnp.pi * (step - warmup_steps) / max(steps - warmup_steps, 1)
        cosine = final + 0.5 * (base - final) * (1 + jnp.cos(turn))
        return jnp.where(step < warmup_steps, warm, cosine)

    return schedule


def larc(
    *, trust: float, weight_decay: float, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Layer-wise adaptive rate control without clipping (apex LARC, clip=False).

    g <- (g + decay p) * trust |p| / (|g| + decay |p| + epsilon), one array at a time;
    where |p| or |g| is zero the gradient passes as it is, without decay.
    """

    def adapt(gradient: Array, param: Array) -> Array:
        size, slope = jnp.linalg.norm(param), jnp.linalg.norm(gradient)
        rate = trust * size / (slope + weight_decay * size + epsilon)
        adapted = (gradient + weight_decay * param) * rate
        return jnp.where((size > 0) & (slope > 0), adapted, gradient)

    return optax.stateless(lambda updates, params: jax.tree.map(adapt, updates, params))


class FreezeState(NamedTuple):
    """How many updates were made."""

    step: Array  # int32 []


def freeze(frozen: dict[str, int]) -> optax.GradientTransformation:
    """Zero the updates of some parameters for their first steps.

    Placed between weight decay and momentum, so that a frozen parameter gets no
    update, no decay and gathers no momentum.

    Args:
        frozen: steps for which each stands still, by name: "prototypes", or
            "network.backbone" for all that lies below it.
    """
    held_for = {tuple(name.split(".")): steps for name, steps in frozen.items()}

    def update(updates, state, params=None):
        del params

        def gate(path, value):
            names = tuple(entry.key for entry in path)
            steps = max(
                (n for name, n in held_for.items() if names[: len(name)] == name),
                default=0,
            )
            if not steps:
                return value
            return jnp.where(state.step < steps, jnp.zeros_like(value), value)

        held = jax.tree_util.tree_map_with_path(gate, updates)
        return held, FreezeState(step=state.step + 1)

    return optax.GradientTransformation(
        lambda params: FreezeState(step=jnp.zeros([], jnp.int32)), update
    )


def make_optimizer(
    schedule: optax.Schedule,
    *,
    momentum: float,
    weight_decay: float,
    larc_trust: float = 0.0,
    frozen: dict[str, int] | None = None,
) -> optax.GradientTransformation:
    """SGD with momentum; `larc_trust` 0 leaves LARC out.

    Decay goes to every parameter, batch norm and biases too, as in both references.
    """
    decay = (
        larc(trust=larc_trust, weight_decay=weight_decay)
        if larc_trust
        else optax.add_decayed_weights(weight_decay)
    )
    return optax.chain(
        decay,
        freeze(frozen or {}),
        optax.trace(momentum),
        optax.scale_by_learning_rate(schedule),
    )


def count_parameters(params: Tree) -> int:
    """How many numbers a tree of arrays (or of their shapes) holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
