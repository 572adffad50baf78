"""A jaxpr of a network's inference as an ONNX graph: one operator after another.

`OPERATORS` maps the primitives that our networks have to functions that write them;
what depends on constants alone is computed here, and not written.
"""

import string
from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import numpy as np

from bmjax.errors import ConfigError

OPSET = 18  # the first where ReduceMax takes its axes as an input
_BATCH = "n"  # the symbol of `any_number_of`
TO_THE_END = np.iinfo(np.int64).max


class Graph:
    """Nodes and constants written so far; `batch` names the number of images."""

    def __init__(self) -> None:
        """Begin a graph without nodes."""
        from onnx import helper, numpy_helper

        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.batch = ""

    def add(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Write one operator of names and constants; return its output's name."""
        name = f"v{len(self.nodes)}"
        names = [self.name(value) for value in inputs]
        self.nodes.append(self.helper.make_node(operator, names, [name], **attributes))
        return name

    def name(self, value: Any) -> str:
        """The name of a value; a constant becomes an initializer."""
        if isinstance(value, str):
            return value
        name = f"c{len(self.constants)}"
        self.constants.append(self.numpy_helper.from_array(np.asarray(value), name))
        return name

    def shape(self, sizes: Any) -> Any:
        """A shape as an operator's input; its one symbolic size is the batch."""
        if all(isinstance(size, int) for size in sizes):
            return np.asarray(sizes, np.int64)
        if others := {str(s) for s in sizes if not isinstance(s, int)} - {_BATCH}:
            raise ConfigError(
                f"an .onnx file has no way to repeat values {min(others)} times, "
                "expected a number or the images of a batch; write FILE.stablehlo"
            )
        parts = [
            np.asarray([size], np.int64) if isinstance(size, int) else self.batch
            for size in sizes
        ]
        return self.add("Concat", *parts, axis=0)


def write_jaxpr(graph: Graph, jaxpr: Any, constants: Any, inputs: Any) -> list[Any]:
    """Write a jaxpr's equations.

    Args:
        graph: where they are written.
        jaxpr: the open jaxpr.
        constants: the values of its constvars.
        inputs: a name or constant for each of its invars.

    Returns:
        a name or constant for each of its outvars.

    Raises:
        ConfigError: a primitive has no operator here.
    """
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(variable: Any) -> Any:
        literal = isinstance(variable, jax.extend.core.Literal)
        if literal:
            return np.asarray(variable.val, variable.aval.dtype)
        return values[variable]

    for equation in jaxpr.eqns:
        given = [read(variable) for variable in equation.invars]
        found = _write_equation(graph, equation, given)
        values |= dict(zip(equation.outvars, found, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _write_equation(graph: Graph, equation: Any, given: list[Any]) -> list[Any]:
    """Write one equation, or compute it where nothing depends on the pixels."""
    params, name = equation.params, equation.primitive.name
    inner = params.get("jaxpr", params.get("call_jaxpr"))
    if inner is not None:
        return write_jaxpr(
            graph, getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given
        )
    fixed = all(
        isinstance(size, int)
        for variable in equation.outvars
        for size in variable.aval.shape
    )
    if fixed and not any(isinstance(value, str) for value in given):
        found = equation.primitive.bind(*map(jax.numpy.asarray, given), **params)
        found = found if equation.primitive.multiple_results else [found]
        return [np.asarray(value) for value in found]
    if name not in OPERATORS:
        raise ConfigError(
            f"an .onnx file has no operator for jax's primitive {name!r}, expected one "
            f"of {', '.join(sorted(OPERATORS))}; write FILE.stablehlo"
        )
    found = OPERATORS[name](graph, equation, *given)
    return found if isinstance(found, list) else [found]


def _plain(operator: str) -> Callable[..., str]:
    """A primitive that is one operator of the same inputs."""
    return lambda graph, equation, *given: graph.add(operator, *given)


def _reduced(operator: str) -> Callable[..., str]:
    """A reduction over `axes`, which the result lacks."""
    return lambda graph, equation, x: graph.add(
        operator, x, np.asarray(equation.params["axes"], np.int64), keepdims=0
    )


def _transposed(graph: Graph, x: Any, order: Any) -> Any:
    """The axes of a name or constant in another order."""
    if isinstance(x, str):
        return graph.add("Transpose", x, perm=[int(axis) for axis in order])
    return np.transpose(x, order)


def _pads(padding: Any) -> list[int]:
    """Pairs of before and after as ONNX orders them."""
    return [int(p[0]) for p in padding] + [int(p[1]) for p in padding]


def _convolution(graph: Graph, equation: Any, x: Any, kernel: Any) -> str:
    """conv_general_dilated, by way of ONNX's order of axes: images, channels, rows."""
    params = equation.params
    axes = params["dimension_numbers"]
    if set(params["lhs_dilation"]) != {1} or params["batch_group_count"] != 1:
        raise ConfigError(
            "an .onnx file has no convolution with dilated inputs or grouped images, "
            "expected a plain one; write FILE.stablehlo"
        )
    found = graph.add(
        "Conv",
        _transposed(graph, x, axes.lhs_spec),
        _transposed(graph, kernel, axes.rhs_spec),
        strides=list(params["window_strides"]),
        pads=_pads(params["padding"]),
        dilations=list(params["rhs_dilation"]),
        group=params["feature_group_count"],
    )
    return _transposed(graph, found, np.argsort(axes.out_spec))


def _window_max(graph: Graph, equation: Any, x: str) -> str:
    """reduce_window_max over rows and columns of [n, rows, columns, channels]."""
    params = equation.params
    window, dilations = params["window_dimensions"], params["window_dilation"]
    images = (window[0], window[-1], *params["padding"][0], *params["padding"][-1])
    if len(window) != 4 or images != (1, 1, 0, 0, 0, 0) or set(dilations) != {1}:
        raise ConfigError(
            "an .onnx file has no maximum over windows of images or channels, expected "
            "one over rows and columns; write FILE.stablehlo"
        )
    found = graph.add(
        "MaxPool",
        _transposed(graph, x, (0, 3, 1, 2)),
        kernel_shape=list(window[1:3]),
        strides=list(params["window_strides"][1:3]),
        pads=_pads(params["padding"][1:3]),
    )
    return _transposed(graph, found, (0, 2, 3, 1))


def _product(graph: Graph, equation: Any, x: Any, y: Any) -> str:
    """dot_general as Einsum: batch axes, then what is left of x, then of y."""
    (sum_x, sum_y), (batch_x, batch_y) = equation.params["dimension_numbers"]
    dims = [variable.aval.ndim for variable in equation.invars]
    letters = iter(string.ascii_lowercase)
    of_x = [next(letters) for _ in range(dims[0])]
    of_y = [next(letters) for _ in range(dims[1])]
    for i, j in (*zip(sum_x, sum_y, strict=True), *zip(batch_x, batch_y, strict=True)):
        of_y[j] = of_x[i]
    out = [of_x[i] for i in batch_x]
    out += [a for i, a in enumerate(of_x) if i not in (*sum_x, *batch_x)]
    out += [a for j, a in enumerate(of_y) if j not in (*sum_y, *batch_y)]
    return graph.add(
        "Einsum", x, y, equation=f"{''.join(of_x)},{''.join(of_y)}->{''.join(out)}"
    )


def _reshaped(graph: Graph, equation: Any, x: Any) -> str:
    """Reshape, squeeze and expand_dims; the one symbolic size is inferred."""
    sizes = equation.outvars[0].aval.shape
    shape = [size if isinstance(size, int) else -1 for size in sizes]
    return graph.add("Reshape", x, np.asarray(shape, np.int64))


def _broadcast(graph: Graph, equation: Any, x: Any) -> str:
    """broadcast_in_dim: axes of length 1 are added, then repeated."""
    params, old = equation.params, equation.invars[0].aval.shape
    shape = [1] * len(params["shape"])
    for axis, size in zip(params["broadcast_dimensions"], old, strict=True):
        shape[axis] = size if isinstance(size, int) else -1
    placed = graph.add("Reshape", x, np.asarray(shape, np.int64))
    return graph.add("Expand", placed, graph.shape(params["shape"]))


def _sliced(graph: Graph, equation: Any, x: Any) -> str:
    """A slice, to the end of an axis whose limit is symbolic."""
    params = equation.params
    ends = [e if isinstance(e, int) else TO_THE_END for e in params["limit_indices"]]
    steps = params["strides"] or [1] * len(ends)
    starts, axes = params["start_indices"], range(len(ends))
    parts = [np.asarray(list(part), np.int64) for part in (starts, ends, axes, steps)]
    return graph.add("Slice", x, *parts)


def _gathered(graph: Graph, equation: Any, x: Any, start: Any) -> str:
    """A gather of one block at a constant place, as `tokens[:, 0]` becomes."""
    numbers, sizes = (
        equation.params["dimension_numbers"],
        equation.params["slice_sizes"],
    )
    if isinstance(start, str) or np.ndim(start) != 1:
        raise ConfigError(
            "an .onnx file has no gather of several blocks or of a place that depends "
            "on the pixels, expected one block; write FILE.stablehlo"
        )
    for axis, first in zip(numbers.start_index_map, start, strict=True):
        block = (int(first), int(first) + sizes[axis], axis, 1)
        parts = [np.asarray([part], np.int64) for part in block]
        x = graph.add("Slice", x, *parts)
    return _reshaped(graph, equation, x)


def _split(graph: Graph, equation: Any, x: Any) -> list[str]:
    """A split into parts of given sizes, as slices."""
    axis, ends = equation.params["axis"], np.cumsum(equation.params["sizes"])
    starts = [0, *ends[:-1]]
    return [
        graph.add(
            "Slice", x, *(np.asarray([part], np.int64) for part in (a, b, axis, 1))
        )
        for a, b in zip(starts, ends, strict=True)
    ]


def _cast(graph: Graph, equation: Any, x: Any) -> str:
    """convert_element_type."""
    dtype = np.dtype(equation.params["new_dtype"])
    return graph.add("Cast", x, to=graph.helper.np_dtype_to_tensor_dtype(dtype))


def _power(graph: Graph, equation: Any, x: Any) -> str:
    """integer_pow."""
    return graph.add("Pow", x, np.float32(equation.params["y"]))


OPERATORS: dict[str, Callable[..., Any]] = {
    "add": _plain("Add"),
    "sub": _plain("Sub"),
    "mul": _plain("Mul"),
    "div": _plain("Div"),
    "max": _plain("Max"),
    "neg": _plain("Neg"),
    "exp": _plain("Exp"),
    "erf": _plain("Erf"),
    "tanh": _plain("Tanh"),
    "logistic": _plain("Sigmoid"),
    "sqrt": _plain("Sqrt"),
    "stop_gradient": _plain("Identity"),
    "copy": _plain("Identity"),
    "square": lambda graph, equation, x: graph.add("Mul", x, x),
    "rsqrt": lambda graph, equation, x: graph.add("Reciprocal", graph.add("Sqrt", x)),
    "integer_pow": _power,
    "reduce_max": _reduced("ReduceMax"),
    "reduce_sum": _reduced("ReduceSum"),
    "reduce_window_max": _window_max,
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "reshape": _reshaped,
    "squeeze": _reshaped,
    "expand_dims": _reshaped,
    "broadcast_in_dim": _broadcast,
    "slice": _sliced,
    "gather": _gathered,
    "split": _split,
    "convert_element_type": _cast,
    "transpose": lambda graph, equation, x: _transposed(
        graph, x, equation.params["permutation"]
    ),
    "concatenate": lambda graph, equation, *given: graph.add(
        "Concat", *given, axis=equation.params["dimension"]
    ),
}
