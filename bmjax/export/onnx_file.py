"""A trained network as an ONNX file: pixels in, features and probabilities out."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax

from bmjax.encoder import Encoder
from bmjax.errors import ConfigError
from bmjax.export.onnx_graph import OPSET, Graph, write_jaxpr
from bmjax.export.program_files import any_number_of, serving, write_program


def write_onnx(out: Path, encoder: Encoder) -> dict[str, Any]:
    """Write the graph and the two files beside it; return what FILE.json holds.

    Args:
        out: the file.
        encoder: the trained network.

    Raises:
        ConfigError: onnx is not installed, or a primitive has no operator.
        CheckpointError: a run's linear classifier is damaged.
        OSError: a file cannot be written.
    """
    if find_spec("onnx") is None:
        raise ConfigError(
            "an .onnx file is written with onnx, which is not installed; run pip "
            "install onnx"
        )
    serve = serving(encoder)
    model = onnx_model(serve, encoder.size)
    return write_program(
        out, model.SerializeToString(), encoder, jax.jit(serve), opset=OPSET
    )


def onnx_model(serve: Any, size: int) -> Any:
    """The ModelProto of a function of uint8 [n, S, S, 3] to a dictionary of arrays.

    Raises:
        ConfigError: a primitive has no operator.
    """
    from onnx import TensorProto, helper

    closed, outputs = jax.make_jaxpr(serve, return_shape=True)(any_number_of(size))
    graph = Graph()
    graph.batch = graph.add("Shape", "pixels", start=0, end=1)
    found = write_jaxpr(graph, closed.jaxpr, closed.consts, ["pixels"])
    names = sorted(outputs)  # as jax orders a dictionary
    for name, value in zip(names, found, strict=True):
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
    given = helper.make_tensor_value_info(
        "pixels", TensorProto.UINT8, ["n", size, size, 3]
    )
    results = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["n", int(outputs[name].shape[1])]
        )
        for name in names
    ]
    made = helper.make_graph(graph.nodes, "bmjax", [given], results, graph.constants)
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8
    )
