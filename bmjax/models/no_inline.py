"""Loops that XLA does not join with others, and values that it computes once."""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def apart(function: Callable, *arguments: Any) -> Any:
    """Calls a function whose loops XLA does not join with those around it.

    On CPU, XLA draws what comes before a sum of many terms into the sum's loop, where
    it is computed anew for every term, and the sum into each loop that comes after. An
    `optimization_barrier` is gone by the time loops are joined; a function that is not
    to be inlined is still one.
    """
    with set_xla_metadata(inlineable="false"):
        return jax.jit(function)(*arguments)


def computed_once(value: jax.Array) -> jax.Array:
    """Returns a value, and its gradient, that XLA does not compute anew for each use.

    On CPU, XLA draws a chain of sums, such as the tokens that all blocks of a
    transformer have added to, into each loop that reads it: the work then grows with
    the square of the blocks. Elsewhere nothing is done.
    """
    return _once(value) if jax.default_backend() == "cpu" else value


def gradient_computed_once(value: jax.Array) -> jax.Array:
    """Returns a value whose gradient XLA does not compute anew for each use.

    The gradient of a dense layer's output has three uses: the gradients of the kernel,
    for which it is transposed, of the bias and of the input. Elsewhere than on CPU
    nothing is done.
    """
    return _gradient_once(value) if jax.default_backend() == "cpu" else value


@jax.custom_vjp
def _once(value: jax.Array) -> jax.Array:
    return apart(_same, value)


def _same(value: jax.Array) -> jax.Array:
    return value


_once.defvjp(
    lambda value: (_once(value), None),
    lambda _, gradient: (apart(_same, gradient),),
)


@jax.custom_vjp
def _gradient_once(value: jax.Array) -> jax.Array:
    return value


_gradient_once.defvjp(
    lambda value: (value, None),
    lambda _, gradient: (apart(_same, gradient),),
)
