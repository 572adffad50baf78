"""Starting from another run's network (`config.init_from`)."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from bmjax import checkpoint
from bmjax.errors import CheckpointError, ConfigError
from bmjax.step import TrainState


def start_from(
    state: TrainState, workdir: Path, say: Callable[[str], None]
) -> TrainState:
    """Replace the backbone's parameters and statistics by those of a finished run.

    Heads, classifiers and prototypes stay as they were initialized: they belong to the
    other method or its classes. All of the backbone fits, or nothing is taken.

    Raises:
        ConfigError: the folder holds no run of ours.
        CheckpointError: the networks differ.
    """
    found = checkpoint.newest(workdir / "checkpoints")
    if found is None:
        raise ConfigError(
            f"config.init_from = {str(workdir)!r} holds no checkpoint; give the "
            "workdir of a trained run"
        )
    step, _ = found
    saved = checkpoint.read(workdir / "checkpoints", step, state.step.sharding)
    parts = {
        "params": (saved["params"]["network"], state.params["network"]),
        "batch_stats": (saved["batch_stats"], state.batch_stats),
    }
    for part, (theirs, ours) in parts.items():
        kinds = [checkpoint.kinds(tree.get("backbone", {})) for tree in (theirs, ours)]
        differing = sorted(dict(kinds[0].items() ^ kinds[1].items()))
        if differing:
            network = json.loads((workdir / "config.json").read_text())["model"]["name"]
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
