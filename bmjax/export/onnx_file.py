"""A trained network as an ONNX file: pixels in, features and probabilities out."""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from bmjax.encoder import Encoder
from bmjax.errors import ConfigError
from bmjax.export.onnx_graph import OPSET, Graph, write_jaxpr
from bmjax.export.same_weights import reference_image
from bmjax.export.stablehlo import serving
from bmjax.files import write_json, write_whole


def write_onnx(out: Path, encoder: Encoder) -> dict[str, Any]:
    """Write the graph, FILE.json about it, and FILE.golden.npz to check it by.

    Args:
        out: the file.
        encoder: the trained network.

    Returns:
        what FILE.json holds.

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
    size, serve = encoder.size, serving(encoder)
    first = reference_image(size)
    golden = np.stack([first, first[::-1]])
    outputs: dict[str, Any] = {
        k: np.asarray(v) for k, v in jax.jit(serve)(golden).items()
    }
    about = {
        "network": encoder.network,
        "classes": list(encoder.classes) if "probabilities" in outputs else [],
        "input": f"uint8 [n, {size}, {size}, 3], RGB, resized by {encoder.resize!r}",
        "outputs": {k: ["n", v.shape[1]] for k, v in outputs.items()},
        "size": size,
        "resize": encoder.resize,
        "mean": list(encoder.mean),
        "std": list(encoder.std),
        "sha256": encoder.digest,
        "opset": OPSET,
        "jax": jax.__version__,
    }
    held = io.BytesIO()
    np.savez(held, pixels=golden, **outputs)
    model = onnx_model(serve, size)
    write_whole(out, model.SerializeToString())
    write_whole(out.with_name(out.name + ".golden.npz"), held.getvalue())
    write_json(out.with_name(out.name + ".json"), about)
    return about


def onnx_model(serve: Any, size: int) -> Any:
    """The ModelProto of a function of uint8 [n, S, S, 3] to a dictionary of arrays.

    Raises:
        ConfigError: a primitive has no operator.
    """
    from onnx import TensorProto, helper

    shape = jax.export.symbolic_shape(f"n, {size}, {size}, 3")
    pixels = jax.ShapeDtypeStruct(shape, jnp.uint8)
    closed, outputs = jax.make_jaxpr(serve, return_shape=True)(pixels)
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
