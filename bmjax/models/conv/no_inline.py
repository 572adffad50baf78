"""Loops that XLA keeps for themselves."""

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
