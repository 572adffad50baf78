"""Starting from another run's network (`config.init_from`)."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bmjax import checkpoint
from bmjax.data.folder import Catalog
from bmjax.data.folds import Split, make_split
from bmjax.errors import CheckpointError, ConfigError
from bmjax.step import TrainState


def start_from(
    state: TrainState,
    workdir: Path,
    catalog: Catalog,
    split: Split,
    say: Callable[[str], None],
) -> TrainState:
    """Replace the backbone's parameters and statistics by those of another run.

    Its newest checkpoint is taken. Heads, classifiers and prototypes stay as they were
    initialized: they belong to the other method or its classes. All of the backbone
    fits, or nothing is taken.

    Raises:
        ConfigError: the folder holds no run of ours, or one that was trained on images
            that would now test it.
        CheckpointError: the networks differ.
    """
    workdir = workdir.expanduser()
    found = checkpoint.newest(workdir / "checkpoints")
    if found is None or not (workdir / "config.json").exists():
        raise ConfigError(
            f"config.init_from = {str(workdir)!r} holds no checkpoint; give the "
            "workdir of a trained run"
        )
    step, meta = found
    source = json.loads((workdir / "config.json").read_text())
    if meta["data_fingerprint"] == catalog.fingerprint:
        _refuse_seen_images(workdir, source["data"], catalog, split)
    saved = checkpoint.read(workdir / "checkpoints", step, state.step.sharding)
    parts = {
        "params": (saved["params"]["network"], state.params["network"]),
        "batch_stats": (saved["batch_stats"], state.batch_stats),
    }
    for part, (theirs, ours) in parts.items():
        kinds = [checkpoint.kinds(tree.get("backbone", {})) for tree in (theirs, ours)]
        differing = sorted(dict(kinds[0].items() ^ kinds[1].items()))
        if differing:
            network = source["model"]["name"]
            raise CheckpointError(
                f"config.init_from = {str(workdir)!r} is a {network}: {len(differing)} "
                f"array(s) of its {part} do not fit this network, first "
                f"backbone.{differing[0]}; set --config.model.name={network}"
            )
    say(f"starting from the backbone of {workdir}, step {step:,}")

    network = {
        **state.params["network"],
        "backbone": parts["params"][0]["backbone"],
    }
    statistics = {
        **state.batch_stats,
        "backbone": parts["batch_stats"][0]["backbone"],
    }
    return dataclasses.replace(
        state,
        params={**state.params, "network": network},
        batch_stats=statistics,
    )


def _refuse_seen_images(
    workdir: Path, source: dict[str, Any], catalog: Catalog, split: Split
) -> None:
    """A backbone that was trained on test images would flatter itself."""
    theirs = make_split(
        catalog, name=source["split"], fold=source["fold"], seed=source["split_seed"]
    )
    seen = len(np.intersect1d(theirs.train, split.test))
    if seen:
        raise ConfigError(
            f"config.init_from = {str(workdir)!r} was trained on {seen:,} of the "
            f"{len(split.test):,} test images; use its split, --config.data.split="
            f"{source['split']} --config.data.fold={source['fold']} "
            f"--config.data.split_seed={source['split_seed']}"
        )
