"""What to predict with: a run's workdir, or a file that `bmjax.export` wrote."""

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.data.seen_images import Seen
from bmjax.devices.mesh import replicated
from bmjax.errors import CheckpointError, ConfigError
from bmjax.evals.linear_probe import Linear
from bmjax.models import make_network
from bmjax.models.weight_files.state_dict import read_metadata
from bmjax.predict.apply import Predict, make_predict
from bmjax.training.trained_network import (
    Weights,
    read_file,
    read_run,
    seen_by,
)

_PARTS = ("backbone", "fc")  # what naming a cell needs of a network


class Predictor(NamedTuple):
    """A function from pixels to probabilities, and what they are of."""

    predict: Predict
    classes: tuple[str, ...]
    size: int  # of the images it takes, pixels
    name: str  # what it is, for people
    fingerprint: str  # of the data that it was trained and tested on; "": not known
    seen: Seen | None  # images that it was trained on; None: not known


def read_predictor(source: Path, mesh: jax.sharding.Mesh) -> Predictor:
    """Read a run or an exported file that can name cells.

    Raises:
        ConfigError: there is no such run or file, or nothing in it names classes.
        CheckpointError: what is there is damaged.
    """
    model: dict[str, Any] = {"convolutions": "auto", "dtype": "float32"}
    linear = None
    if source.is_dir():
        weights = read_run(source, replicated(mesh))
        model |= json.loads((source / "config.json").read_text())["model"]
        if "fc" not in weights.params:
            linear = _read_linear(source, weights)
    else:
        weights = _read_exported(source)
    about = weights.about
    classes = about.get("classes")
    width = linear.bias if linear else weights.params["fc"]["bias"]
    if not classes or len(classes) != len(width):
        raise ConfigError(
            f"--run={str(source)!r} does not name the classes of its "
            f"{len(width)} outputs; give a run, or a file that bmjax.export wrote"
        )
    network = make_network(
        about["network"],
        num_classes=0 if linear else len(classes),
        convolutions=model["convolutions"],
        dtype=jnp.dtype(model["dtype"]),
    )
    params, batch_stats = (
        jax.device_put(
            {part: tree[part] for part in _PARTS if part in tree}, replicated(mesh)
        )
        for tree in (weights.params, weights.batch_stats)
    )
    predict = make_predict(
        network,
        params,
        batch_stats,
        linear,
        size=about["size"],
        mean=tuple(about["mean"]),
        std=tuple(about["std"]),
        mesh=mesh,
    )
    how = "linear classifier on its features" if linear else "its own classifier"
    name = f"{about['network']} of {about['method']}, step {about['step']:,}, {how}"
    seen = about.get("trained_on", {}).get("data_fingerprint", "")
    return Predictor(predict, tuple(classes), about["size"], name, seen, seen_by(about))


def _read_linear(run: Path, weights: Weights) -> Linear:
    path = run / "features" / "linear.npz"
    if not path.exists():
        raise ConfigError(
            f"--run={str(run)!r} was pretrained without labels ("
            f"{weights.about['method']}, step {weights.about['step']:,}) and has no "
            "linear classifier yet; let it finish, by its own command"
        )
    try:
        with np.load(path) as arrays:
            return Linear(**{name: arrays[name] for name in Linear._fields})
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{str(path)!r} is damaged ({error}); run the same command again to fit it "
            "anew"
        ) from None


def _read_exported(path: Path) -> Weights:
    if path.suffix != ".safetensors" or not path.is_file():
        raise ConfigError(
            f"--run={str(path)!r} is neither a run's folder nor a .safetensors file"
        )
    try:
        about = json.loads(read_metadata(path).get("bmjax", "{}"))
    except ValueError:
        about = {}
    if "network" not in about:
        raise ConfigError(
            f"--run={str(path)!r} does not say which network it is, nor its classes; "
            "give a run, or a file that bmjax.export wrote"
        )
    weights = read_file(path, about["network"])
    if "fc" not in weights.params:
        raise ConfigError(
            f"--run={str(path)!r} holds no classifier ({about['method']}); give the "
            "workdir of the run, which has its linear classifier"
        )
    return weights
