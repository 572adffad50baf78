"""A trained network apart from its run: what it is, and where it was trained."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

import bmjax
from bmjax.data.seen_images import Seen, seen_from_json
from bmjax.errors import CheckpointError, ConfigError
from bmjax.models import feature_settings
from bmjax.models.lora import merge_adapters
from bmjax.models.weight_files.state_dict import (
    check_weights,
    read_metadata,
    read_weights,
    write_weights,
)
from bmjax.training import checkpoint
from bmjax.training.best_step import STEP, best_record
from bmjax.training.run_config import check_about, read_run_config
from bmjax.types import Tree

_KEY = "bmjax"  # of our own metadata in a .safetensors file
# In `about` of a file that holds adapters alone (`training.adapters`): what they adapt.
ADAPTED_BACKBONE = "adapted_backbone"


def seen_by(about: dict[str, Any]) -> Seen | None:
    """The images that weights have been trained on; None where it is not known."""
    record = about.get("trained_on", {}).get("seen")
    return seen_from_json(record) if record else None


def about_source(path: Path) -> dict[str, Any]:
    """What is known about a run's or a file's weights, without reading them.

    Raises:
        ConfigError: the folder holds no run with a checkpoint.
        CheckpointError: what is there is damaged.
    """
    if path.is_dir():
        return _about_run(path)[0]
    return _about_file(path)


class Weights(NamedTuple):
    """A network's arrays, and what is known about them.

    params: "backbone", and "fc", "head", "prototypes" and "mask_token" where there are
        such.
    about: "network", "pooling" and "interpolation" (how its features are made, by
        name), "method", "step", "classes", "size", "resize", "mean", "std", "lora"
        (rank, alpha and layers of the adapters that are merged into the backbone) and
        "trained_on" (fingerprint of the images, split and its digest, fold,
        split_seed, pretrain_on: "all" where the test part was shown too, and seen: a
        record of the training images, `data.seen_images`, None where it was not kept);
        {} for a file of another program's.
    """

    params: Tree
    batch_stats: Tree
    about: dict[str, Any]


def read_run(workdir: Path, sharding: jax.sharding.Sharding) -> Weights:
    """Read a run's newest checkpoint, or the best one where the run chooses one.

    Raises:
        ConfigError: the folder holds no run with a checkpoint.
        CheckpointError: no checkpoint is whole, or the best one is not.
    """
    return merged(read_saved(workdir, sharding)[0])


def merged(weights: Weights) -> Weights:
    """Return weights with their adapters, where there are some, in the backbone."""
    if "lora" not in weights.params:
        return weights
    rank, alpha = (weights.about["lora"][key] for key in ("rank", "alpha"))
    return weights._replace(
        params=merge_adapters(weights.params, rank=rank, alpha=alpha)
    )


def backbone_digest(params: Tree, batch_stats: Tree) -> str:
    """SHA-256 of a backbone's parameters and statistics."""
    trees = (params, batch_stats)
    return checkpoint.digest([tree["backbone"] for tree in trees if "backbone" in tree])


def read_saved(workdir: Path, sharding: jax.sharding.Sharding) -> tuple[Weights, Tree]:
    """Read a run's weights with adapters apart, and all parameters of its checkpoint.

    Raises:
        ConfigError: as `read_run`.
        CheckpointError: likewise.
    """
    about, step = _about_run(workdir)
    saved = checkpoint.read(workdir / "checkpoints", step, sharding)
    params = dict(saved["params"]["network"])
    for name in ("prototypes", "mask_token"):
        if name in saved["params"]:
            params[name] = saved["params"][name]
    return Weights(params, saved["batch_stats"], about), saved["params"]


def _about_run(workdir: Path) -> tuple[dict[str, Any], int]:
    """What is known about a run's network, and which step it is of.

    It is the one that the run evaluates: of the newest checkpoint, or of the best step
    by the validation metric that `config.checkpoint.best` names.
    """
    folder = workdir / "checkpoints"
    there = (workdir / "config.json").exists()
    config = read_run_config(workdir) if there else None
    found = checkpoint.newest(folder)
    if found is None or config is None:
        raise ConfigError(
            f"{str(workdir)!r} holds no checkpoint; give the workdir of a trained run"
        )
    step, meta = found
    data, model = config.data, config.model
    if metric := config.checkpoint.best:
        record = best_record(meta.get("validation", []), metric)
        if record is not None:
            step = int(record[STEP])
            checkpoint.check_whole(folder, step, metric)
    about = {
        "version": bmjax.__version__,
        "network": model.name,
        **feature_settings(
            model.name, pooling=model.pooling, interpolation=model.interpolation
        ),
        "method": config.method.name,
        "step": step,
        "classes": meta.get("classes"),
        "size": data.size,
        "resize": data.resize,
        "mean": list(data.mean),
        "std": list(data.std),
        **({"lora": dataclasses.asdict(config.lora)} if config.lora.rank else {}),
        "trained_on": {
            "data_fingerprint": meta.get("data_fingerprint"),
            "split_digest": meta.get("split_digest"),
            "split": data.split,
            "fold": data.fold,
            "split_seed": data.split_seed,
            "pretrain_on": data.pretrain_on,
            "seen": meta.get("seen"),
        },
    }
    check_about(about, f"the checkpoint of step {step} of {str(workdir)!r}")
    return about, step


def read_file(
    path: Path,
    network: str,
    *,
    num_classes: int = 0,
    new_classifier: bool = False,
    mask_token: bool = False,
    say: Callable[[str], None] | None = None,
) -> Weights:
    """Read a file of weights; `read_weights` has the arguments and the errors.

    Raises:
        CheckpointError: as `read_weights`.
    """
    about = _about_file(path)
    params, batch_stats = read_weights(
        path,
        network,
        num_classes=num_classes,
        new_classifier=new_classifier,
        pooling=about.get("pooling", "auto"),
        mask_token=mask_token,
        say=say,
    )
    return Weights(params, batch_stats, about)


def check_file(path: Path, network: str, *, say: Callable[[str], None]) -> None:
    """Refuse a file of another network's; `check_weights` has the errors."""
    about = _about_file(path)
    check_weights(path, network, pooling=about.get("pooling", "auto"), say=say)


def metadata_of(path: Path) -> dict[str, Any]:
    """Our own metadata of a file of weights or adapters; {} for another program's.

    Raises:
        CheckpointError: the file is damaged.
    """
    text = read_metadata(path).get(_KEY, "{}")
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{str(path)!r} says of itself what is no JSON ({str(error)[:100]}); "
            "export it again"
        ) from None
    if about != {}:
        check_about(about, repr(str(path)))
    return about


def _about_file(path: Path) -> dict[str, Any]:
    """What a file of weights says of itself; {} for another program's.

    Raises:
        CheckpointError: it is damaged, or holds adapters without a backbone.
    """
    about = metadata_of(path)
    if ADAPTED_BACKBONE in about:
        raise CheckpointError(
            f"{str(path)!r} holds adapters alone, expected a whole "
            f"{about['network']}; give the weights that they were trained beside, with "
            "these as adapters (bmjax.load, bmjax embed, bmjax predict), or the run "
            "exported without --adapters"
        )
    return about


def write_file(path: Path, weights: Weights, *, layout: str = "own") -> None:
    """Write a .safetensors file that `read_file`, and torch, can read.

    `write_weights` has the layouts and the errors.
    """
    write_weights(
        path,
        weights.about["network"],
        weights.params,
        weights.batch_stats,
        metadata={_KEY: json.dumps(weights.about)},
        layout=layout,
    )
