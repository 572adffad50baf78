"""A trained network as one StableHLO program, by jax.export: pixels in, classes out.

The program needs jax, numpy and flatbuffers, and none of bmjax. jax promises to read a
file for six months after it was written (docs.jax.dev, "Exporting and serializing
staged-out computations", compatibility guarantees).
"""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export

from bmjax.augment.recipes import plain
from bmjax.encoder import Encoder
from bmjax.errors import ConfigError
from bmjax.evals.linear_probe import Linear
from bmjax.export.same_weights import reference_image
from bmjax.files import write_json, write_whole
from bmjax.models import make_network

PLATFORMS = ("cpu", "cuda", "tpu")


def write_stablehlo(out: Path, encoder: Encoder) -> dict[str, Any]:
    """Write the program, FILE.json about it, and FILE.golden.npz to check it by.

    Args:
        out: the file.
        encoder: the trained network.

    Returns:
        what FILE.json holds.

    Raises:
        ConfigError: flatbuffers is not installed.
        CheckpointError: a run's linear classifier is damaged.
        OSError: a file cannot be written.
    """
    if find_spec("flatbuffers") is None:
        raise ConfigError(
            "a .stablehlo file is written with flatbuffers, which is not installed; "
            "run pip install flatbuffers"
        )
    size = encoder.size
    shape = export.symbolic_shape(f"n, {size}, {size}, 3")
    pixels = jax.ShapeDtypeStruct(shape, jnp.uint8)
    program = export.export(jax.jit(serving(encoder)), platforms=PLATFORMS)(pixels)
    first = reference_image(size)
    golden = np.stack([first, first[::-1]])
    outputs: dict[str, Any] = {
        k: np.asarray(v) for k, v in program.call(golden).items()
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
        "platforms": list(PLATFORMS),
        "calling_convention_version": program.calling_convention_version,
        "jax": jax.__version__,
    }
    held = io.BytesIO()
    np.savez(held, pixels=golden, **outputs)
    write_whole(out, bytes(program.serialize()))
    write_whole(out.with_name(out.name + ".golden.npz"), held.getvalue())
    write_json(out.with_name(out.name + ".json"), about)
    return about


def serving(encoder: Encoder) -> Any:
    """The function of uint8 [n, S, S, 3] that is written; weights are its constants."""
    about, weights = encoder.loaded.about, encoder.loaded.weights
    params, batch_stats = weights.params, weights.batch_stats
    network = make_network(
        about["network"],
        num_classes=len(params["fc"]["bias"]) if "fc" in params else 0,
        lineages=tuple(int(i) for i in batch_stats.get("fc", {}).get("lineages", ())),
        convolutions="xla",  # on every platform
        pooling=about["pooling"],
        interpolation=about["interpolation"],
    )
    prepare = plain(size=encoder.size, mean=encoder.mean, std=encoder.std)
    linear = None if "fc" in params else _linear(encoder)

    def serve(pixels: Array) -> dict[str, Array]:
        found, _ = network.apply(params, batch_stats, prepare(pixels), train=False)
        features = found["features"]
        logits = found.get("logits")
        if linear is not None:
            scaled = (features - linear.mean[None]) / linear.std[None]
            logits = scaled @ linear.kernel + linear.bias[None]
        if logits is None:
            return {"features": features}
        return {"features": features, "probabilities": jax.nn.softmax(logits)}

    return serve


def _linear(encoder: Encoder) -> Linear | None:
    """The linear classifier of a run; None where there is none yet, or no run."""
    try:
        return encoder.linear_classifier
    except ConfigError:
        return None
