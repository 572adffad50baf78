"""The optimizers by name, as chains of optax's parts and two of our own.

"sgd" is SGD as the papers ran it: LARC, frozen parameters, momentum, a schedule, in
order. "adamw" is AdamW as vision transformers are trained with it.

`optax.lars` is not this optimizer: it puts weight decay inside the trust ratio's norm
and applies momentum after the learning rate. Here, as in apex's LARC around torch's
SGD, the rate multiplies the momentum buffer.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from bmjax.errors import ConfigError, check_known
from bmjax.types import Tree


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
    steps_of = _frozen_steps(frozen)

    def update(updates, state, params=None):
        del params

        def gate(path, value):
            steps = steps_of(_names(path))
            if not steps:
                return value
            return jnp.where(state.step < steps, jnp.zeros_like(value), value)

        held = jax.tree_util.tree_map_with_path(gate, updates)
        return held, FreezeState(step=state.step + 1)

    return optax.GradientTransformation(
        lambda params: FreezeState(step=jnp.zeros([], jnp.int32)), update
    )


def scale_by_layer(
    scale: Callable[[tuple[str, ...]], float],
) -> optax.GradientTransformation:
    """Multiply each parameter's update by a factor of its own.

    Args:
        scale: from the path of a parameter, as ("network", "backbone", "norm",
            "bias"), to the factor; `bmjax.models.layer_scales` makes it.
    """

    def update(updates, params=None):
        del params
        return jax.tree_util.tree_map_with_path(
            lambda path, value: value * scale(_names(path)), updates
        )

    return optax.stateless(update)


def clip_each_array(length: float) -> optax.GradientTransformation:
    """Scale down the gradient of each array that is longer, each by itself.

    g <- g min(1, length / (|g| + 1e-6)) (facebookresearch/dino, utils.py,
    clip_gradients).
    """

    def clip(gradient: Array) -> Array:
        size = jnp.linalg.norm(gradient.reshape(-1))
        return gradient * jnp.minimum(1.0, length / (size + 1e-6))

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates))


def decayed(params: Tree) -> Tree:
    """Say for each parameter whether AdamW's weight decay takes from it.

    It does from kernels, adapters and prototypes alone, and spares biases, the scales
    of normalizations, class tokens, positions, and what else is no matrix of a product
    (timm's `param_groups_weight_decay` with a network's own `no_weight_decay`;
    facebookresearch/dino, get_params_groups).
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _names(path)[-1] in _DECAYED, params
    )


def make_optimizer(
    schedule: optax.Schedule,
    *,
    momentum: float,
    weight_decay: float | optax.Schedule,
    larc_trust: float = 0.0,
    frozen: dict[str, int] | None = None,
    name: str = "sgd",
    betas: tuple[float, float] = (0.9, 0.999),
    clip_norm: float = 0.0,
    clip_each: bool = False,
    layer_scale: Callable[[tuple[str, ...]], float] | None = None,
) -> optax.GradientTransformation:
    """Return the optimizer of a name.

    Args:
        schedule: of the learning rate, by step.
        momentum: of "sgd".
        weight_decay: a number, or a schedule of it by step. "sgd" adds it to every
            parameter's gradient, batch norm's and biases' too, as in both references;
            "adamw" takes it from the parameters that `decayed` says, by the rate.
        larc_trust: 0 leaves LARC out. Of "sgd" alone.
        frozen: steps for which parameters stand still; see `freeze`.
        name: one of `OPTIMIZERS`.
        betas: how much "adamw" keeps of its running means of the gradient and of its
            square.
        clip_norm: the largest length of the gradient of all parameters that are not
            frozen; a longer one is scaled down. 0: any.
        clip_each: it is the largest length of each array's gradient instead.
        layer_scale: factors of the learning rate; see `scale_by_layer`.

    Raises:
        ConfigError: an unknown name, or numbers that do not go together.
    """
    check_known("config.optim.name", name, tuple(OPTIMIZERS))
    frozen = frozen or {}
    parts = []
    if clip_norm:
        clip = clip_each_array if clip_each else optax.clip_by_global_norm
        parts += [freeze(frozen), clip(clip_norm)]
    parts += OPTIMIZERS[name](
        momentum=momentum,
        weight_decay=weight_decay,
        larc_trust=larc_trust,
        frozen=frozen,
        betas=betas,
    )
    if layer_scale is not None:
        parts.append(scale_by_layer(layer_scale))
    return optax.chain(*parts, optax.scale_by_learning_rate(schedule))


def _sgd(
    *,
    momentum: float,
    weight_decay: float | optax.Schedule,
    larc_trust: float,
    frozen: dict[str, int],
    betas: tuple[float, float],
) -> list[optax.GradientTransformation]:
    """Decay, or LARC with it; frozen parameters; momentum."""
    del betas
    if larc_trust and callable(weight_decay):
        raise ConfigError(
            "config.optim.final_weight_decay changes the weight decay over the run, "
            f"which LARC (config.optim.larc_trust = {larc_trust:g}) does not; set "
            "larc_trust to 0.0, or final_weight_decay to weight_decay"
        )
    decay = (
        larc(trust=larc_trust, weight_decay=weight_decay)
        if larc_trust
        else optax.add_decayed_weights(weight_decay)
    )
    return [decay, freeze(frozen), optax.trace(momentum)]


def _adamw(
    *,
    momentum: float,
    weight_decay: float | optax.Schedule,
    larc_trust: float,
    frozen: dict[str, int],
    betas: tuple[float, float],
) -> list[optax.GradientTransformation]:
    """Adam's direction, and decay beside it (Loshchilov and Hutter 2019).

    A parameter that is frozen for its first steps begins afterwards as one without a
    past: its running means, and their correction, count from there.
    """
    del momentum
    if larc_trust:
        raise ConfigError(
            f"config.optim.larc_trust = {larc_trust:g} is of config.optim.name = "
            "'sgd'; set it to 0.0 with 'adamw'"
        )
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ConfigError(
            f"config.optim.betas = {tuple(betas)} should be two numbers of at least 0 "
            "and below 1; use (0.9, 0.999)"
        )
    adam = partial(optax.scale_by_adam, b1=betas[0], b2=betas[1])  # eps as torch's
    steps_of = _frozen_steps(frozen)

    def label(params: Tree) -> Tree:
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: f"step_{steps_of(_names(path))}", params
        )

    by_start = {
        f"step_{steps}": _adam_from(steps, adam) for steps in {0, *frozen.values()}
    }
    return [
        optax.partition(by_start, label),
        optax.add_decayed_weights(weight_decay, mask=decayed),
        freeze(frozen),
    ]


def _adam_from(
    steps: int, adam: Callable[[], optax.GradientTransformation]
) -> optax.GradientTransformation:
    if steps == 0:
        return adam()
    return optax.conditionally_mask(adam(), lambda step: step >= steps)


OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}
_DECAYED = ("kernel", "prototypes", "patch_prototypes", "lora_a", "lora_b")


def _names(path: tuple) -> tuple[str, ...]:
    """The keys of a path in a tree of dicts."""
    return tuple(entry.key for entry in path)


def _frozen_steps(frozen: dict[str, int]) -> Callable[[tuple[str, ...]], int]:
    """Return for how many steps the parameter of a path stands still."""
    held_for = {tuple(name.split(".")): steps for name, steps in frozen.items()}

    def steps_of(names: tuple[str, ...]) -> int:
        return max(
            (n for name, n in held_for.items() if names[: len(name)] == name),
            default=0,
        )

    return steps_of


def count_parameters(params: Tree) -> int:
    """How many numbers a tree of arrays (or of their shapes) holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
