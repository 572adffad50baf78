"""Useful floating-point operations: those of convolutions and matrix products alone.

They are counted in a function's jaxpr, from shapes, nothing being computed. What a
convolution costs does not depend on how it is carried out here: give networks with
`convolutions="xla"`, where each is one operation of jax, and without `remat`, which
computes again what is already there.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def count_flops(function: Callable[..., Any], *args: Any) -> int:
    """Count the operations of a function's convolutions and matrix products.

    A multiplication and its addition are two operations. Taps that fall on the padding
    count as in the literature, where ResNet-50 has 4.09 thousand million multiply-adds
    at 224 pixels; zeros that a transposed convolution puts between its inputs do not.
    So a layer's backward pass counts twice its forward pass, or once where nothing
    before the layer wants a gradient. Loops count as often as they turn, the body of a
    `while` once; of branches the largest counts.

    Args:
      function: of arrays; it is traced and not run.
      args: arrays or their shapes (`jax.ShapeDtypeStruct`).
    """
    return _of_jaxpr(jax.make_jaxpr(function)(*args).jaxpr)


def _of_jaxpr(jaxpr: Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: JaxprEqn) -> int:
    params = equation.params
    match equation.primitive.name:
        case "conv_general_dilated":
            return _of_convolution(equation)
        case "dot_general":
            (contracted, _), _ = params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            depth = math.prod(shape[axis] for axis in contracted)
            return 2 * depth * math.prod(equation.outvars[0].aval.shape)
        case "cond":
            return max(_of_jaxpr(branch.jaxpr) for branch in params["branches"])
    turns = params["length"] if equation.primitive.name == "scan" else 1
    return turns * sum(_of_jaxpr(inner) for inner in _inner(params))


def _of_convolution(equation: JaxprEqn) -> int:
    numbers = equation.params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    _, inputs, *window = (kernel[axis] for axis in numbers.rhs_spec)
    depth = inputs * math.prod(window)
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2 * depth * math.prod(equation.outvars[0].aval.shape) // zeros


def _inner(params: dict[str, Any]) -> list[Jaxpr]:
    """The jaxprs that an equation calls, as jit, scan and custom gradients do."""
    found = []
    for value in params.values():
        if isinstance(value, ClosedJaxpr):
            found.append(value.jaxpr)
        elif isinstance(value, Jaxpr):
            found.append(value)
    return found
