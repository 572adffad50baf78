"""The files of an exported program: itself, what it is, and outputs to check it by."""

import hashlib
import io
from collections.abc import Callable
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

Serve = Callable[[Array], dict[str, Array]]


def serving(encoder: Encoder) -> Serve:
    """The function of uint8 [n, S, S, 3] that is written; weights are its constants.

    Raises:
        CheckpointError: a run's linear classifier is damaged.
    """
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

    # As the golden outputs say it: an accelerator's own choice may round to 10 bits.
    @jax.default_matmul_precision("float32")
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


def any_number_of(size: int) -> jax.ShapeDtypeStruct:
    """The pixels of n images of S pixels, n a symbol: uint8 [n, S, S, 3]."""
    shape = export.symbolic_shape(f"n, {size}, {size}, 3")
    return jax.ShapeDtypeStruct(shape, jnp.uint8)


def write_program(
    out: Path,
    content: bytes,
    encoder: Encoder,
    call: Callable[[np.ndarray], dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """Write a program, FILE.json about it, and FILE.golden.npz to check it by.

    Args:
        out: the file.
        content: of it.
        encoder: that it was made of.
        call: gives the outputs of two images, which are kept.
        more: what else FILE.json says.

    Returns:
        what FILE.json holds.

    Raises:
        OSError: a file cannot be written.
    """
    size = encoder.size
    first = reference_image(size)
    pixels = np.stack([first, first[::-1]])
    outputs: dict[str, Any] = {k: np.asarray(v) for k, v in call(pixels).items()}
    about = {
        "network": encoder.network,
        "classes": list(encoder.classes) if "probabilities" in outputs else [],
        "input": f"uint8 [n, {size}, {size}, 3], RGB, resized by {encoder.resize!r}",
        "outputs": {name: ["n", value.shape[1]] for name, value in outputs.items()},
        "size": size,
        "resize": encoder.resize,
        "mean": list(encoder.mean),
        "std": list(encoder.std),
        "sha256": encoder.digest,
        "program_sha256": hashlib.sha256(content).hexdigest(),
        **more,
        "jax": jax.__version__,
    }
    held = io.BytesIO()
    np.savez(held, pixels=pixels, **outputs)
    write_whole(out, content)
    write_whole(out.with_name(out.name + ".golden.npz"), held.getvalue())
    write_json(out.with_name(out.name + ".json"), about)
    return about


def _linear(encoder: Encoder) -> Linear | None:
    """The linear classifier of a run; None where there is none yet, or no run."""
    try:
        return encoder.linear_classifier
    except ConfigError:
        return None
