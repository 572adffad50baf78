"""Useful floating-point operations: those of convolutions and matrix products alone.

They are counted in a function's jaxpr, from shapes, nothing being computed. What a
convolution costs does not depend on how it is carried out here: give networks with
`convolutions="xla"`, where each is one operation of jax, and without `remat`, which
computes again what is already there.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


class Operation(NamedTuple):
    """One convolution or matrix product."""

    flops: int  # a multiplication and its addition are two
    bytes: int  # of its operands and its result
    outputs: int  # numbers in its result
    types: tuple[str, ...]  # of its operands
    times: int = 1  # it is carried out, in a loop


def count_flops(function: Callable[..., Any], *args: Any) -> int:
    """Count the operations of a function's convolutions and matrix products.

    Taps that fall on the padding count as in the literature, where ResNet-50 has 4.09
    thousand million multiply-adds at 224 pixels; zeros that a transposed convolution
    puts between its inputs do not. So a layer's backward pass counts twice its forward
    pass, or once where nothing before the layer wants a gradient. Loops count as often
    as they turn, the body of a `while` once; of branches the largest counts.

    Args:
      function: of arrays; it is traced and not run.
      args: arrays or their shapes (`jax.ShapeDtypeStruct`).
    """
    return _flops(operations(function, *args))


def operations(function: Callable[..., Any], *args: Any) -> list[Operation]:
    """List a function's convolutions and matrix products, in order; see above."""
    return _of_jaxpr(jax.make_jaxpr(function)(*args).jaxpr)


def _flops(found: list[Operation]) -> int:
    return sum(each.flops * each.times for each in found)


def _of_jaxpr(jaxpr: Jaxpr) -> list[Operation]:
    return [found for equation in jaxpr.eqns for found in _of_equation(equation)]


def _of_equation(equation: JaxprEqn) -> list[Operation]:
    params, name = equation.params, equation.primitive.name
    if name in _DEPTHS:
        return [_operation(equation, _DEPTHS[name](equation))]
    if name == "cond":
        return max((_of_jaxpr(each.jaxpr) for each in params["branches"]), key=_flops)
    turns = params["length"] if name == "scan" else 1
    return [
        found._replace(times=turns * found.times)
        for inner in _inner(params)
        for found in _of_jaxpr(inner)
    ]


def _operation(equation: JaxprEqn, depth: int | float) -> Operation:
    result = equation.outvars[0].aval
    arrays = [variable.aval for variable in (*equation.invars, *equation.outvars)]
    return Operation(
        flops=round(2 * depth * result.size),
        bytes=sum(array.size * array.dtype.itemsize for array in arrays),
        outputs=result.size,
        types=tuple(str(variable.aval.dtype) for variable in equation.invars),
    )


def _product_depth(equation: JaxprEqn) -> int:
    """Products summed for one number of a matrix product."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    return math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)


def _convolution_depth(equation: JaxprEqn) -> float:
    """Products summed for one number of a convolution, on average."""
    numbers = equation.params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    _, inputs, *window = (kernel[axis] for axis in numbers.rhs_spec)
    return inputs * math.prod(window) / math.prod(equation.params["lhs_dilation"])


_DEPTHS = {"conv_general_dilated": _convolution_depth, "dot_general": _product_depth}


def _inner(params: dict[str, Any]) -> list[Jaxpr]:
    """The jaxprs that an equation calls, as jit, scan and custom gradients do."""
    found = []
    for value in params.values():
        if isinstance(value, ClosedJaxpr):
            found.append(value.jaxpr)
        elif isinstance(value, Jaxpr):
            found.append(value)
    return found
