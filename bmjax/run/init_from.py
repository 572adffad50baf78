"""Starting from weights that are there (`config.init_from`): a run's, or a file's."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp

from bmjax.devices.mesh import place
from bmjax.errors import CheckpointError
from bmjax.files import user_path
from bmjax.models import feature_settings
from bmjax.run.build import RunData
from bmjax.run.preprocessing_check import check_preprocessing
from bmjax.run.refuse_seen import refuse_seen
from bmjax.run.run_settings import Settings
from bmjax.training import checkpoint
from bmjax.training.step import TrainState
from bmjax.training.trained_network import (
    Weights,
    read_file,
    read_run,
)
from bmjax.types import Tree

_PARTS = {
    "backbone": "backbone",
    "fc": "classifier",
    "head": "projection head",
    "prototypes": "prototypes",
    "mask_token": "mask token",
}


def start_from(
    state: TrainState, settings: Settings, data: RunData, say: Callable[[str], None]
) -> TrainState:
    """Replace a new state's parameters and statistics by those of `config.init_from`.

    The whole backbone fits, or nothing is taken. A classifier of the same classes is
    taken too, and a projection head, prototypes and a mask token where they are of the
    same shapes; what is taken is said.

    Raises:
        ConfigError: there is no such run or file, or it was trained on images that
            would now test it.
        CheckpointError: the networks differ; or the classifier's classes do, and
            `config.init_new_classifier` is off.
    """
    path = user_path("config.init_from", settings.init_from)
    renew = settings.init_new_classifier
    weights = _read(path, state, settings, len(data.catalog.classes), say)
    refuse_seen(
        path,
        weights.about,
        data.catalog,
        data.split,
        transductive=settings.data.pretrain_on == "all",
        say=say,
    )
    if "fc" in state.params["network"] and "fc" in weights.params and not renew:
        _refuse_other_classes(path, weights, data.catalog.classes, say)
        _refuse_other_lineages(path, weights, state)

    ours = _arrays({**state.params, **state.params["network"]}, state.batch_stats)
    theirs = _arrays(weights.params, weights.batch_stats)
    taken = []
    for part, arrays in ours.items():
        differing = sorted(dict(arrays.items() ^ theirs.get(part, {}).items()))
        if part == "backbone" and differing:
            network = weights.about.get("network", "another network")
            raise CheckpointError(
                f"config.init_from = {str(path)!r} is a {network}: {len(differing)} "
                f"array(s) do not fit this network, first {differing[0]}; set "
                f"--config.model.name={network}"
            )
        if not differing and not (part == "fc" and renew):
            taken.append(part)
    # A classifier is never left out unasked, whatever its shape.
    heads = [*taken, *(["fc"] if "fc" in ours and "fc" in theirs and not renew else [])]
    _refuse_other_pooling(path, weights, settings, heads)
    check_preprocessing(path, weights.about, settings, say)
    said = [_PARTS[part] + ("" if part in taken else " (new)") for part in ours]
    say(f"starting from {path}: {', '.join(said)}")

    everywhere = state.step.sharding
    return dataclasses.replace(
        state,
        params=_placed(state.params, weights.params, taken, everywhere),
        batch_stats=_placed(state.batch_stats, weights.batch_stats, taken, everywhere),
    )


def _placed(
    mine: Tree, theirs: Tree, taken: list[str], everywhere: jax.sharding.Sharding
) -> Tree:
    """Put the parts that are taken wherever they stand, also in a student's tree."""
    found = {}
    for name, tree in mine.items():
        if name in taken and name in theirs:
            # A copy for each place: a step gives its buffers away.
            found[name] = jax.tree.map(jnp.copy, place(theirs[name], everywhere))
        elif name not in _PARTS and isinstance(tree, dict):
            found[name] = _placed(tree, theirs, taken, everywhere)
        else:
            found[name] = tree
    return found


def _read(
    path: Path,
    state: TrainState,
    settings: Settings,
    classes: int,
    say: Callable[[str], None],
) -> Weights:
    if path.is_dir():
        return read_run(path, state.step.sharding)
    has_classifier = "fc" in state.params["network"]
    return read_file(
        path,
        settings.model.name,
        num_classes=classes if has_classifier else 0,
        new_classifier=settings.init_new_classifier,
        mask_token="mask_token" in state.params,
        say=say,
    )


def _arrays(params: Tree, batch_stats: Tree) -> dict[str, dict[str, str]]:
    """Types and shapes of each part's arrays, by name."""
    found = {}
    for part in (part for part in _PARTS if part in params):
        found[part] = {
            **checkpoint.kinds({part: params[part]}),
            **{
                f"batch_stats.{name}": kind
                for name, kind in checkpoint.kinds(
                    {part: batch_stats.get(part, {})}
                ).items()
            },
        }
    return found


def _refuse_other_classes(
    path: Path, weights: Weights, classes: Sequence[str], say: Callable[[str], None]
) -> None:
    """A classifier of as many but other classes would name every cell wrongly."""
    theirs = weights.about.get("classes")
    if theirs is None:
        say(
            f"note: {path} does not name its classes; its classifier is taken to be "
            f"for {', '.join(classes)}, in this order"
        )
    elif list(theirs) != list(classes):
        differing = sorted(set(theirs) ^ set(classes)) or ["their order"]
        raise CheckpointError(
            f"config.init_from = {str(path)!r} has a classifier of {len(theirs)} "
            f"classes that are not these {len(classes)} (differing: "
            f"{', '.join(differing[:5])}); start a new one with "
            "--config.init_new_classifier=True"
        )


def _refuse_other_lineages(path: Path, weights: Weights, state: TrainState) -> None:
    """A classifier of lineages is no plain one, nor one of other lineages."""
    kept = [tree.get("fc", {}) for tree in (weights.batch_stats, state.batch_stats)]
    theirs, ours = ([int(n) for n in fc.get("lineages", ())] for fc in kept)
    if theirs != ours:
        raise CheckpointError(
            f"config.init_from = {str(path)!r} has a classifier {_said(theirs)}, and "
            f"config.model.lineages makes one {_said(ours)}; set that key as it was "
            "there, or start a new classifier with --config.init_new_classifier=True"
        )


def _said(lineages: Sequence[int]) -> str:
    if not lineages:
        return "without lineages"
    return (
        f"of {max(lineages) + 1} lineages (by class: {', '.join(map(str, lineages))})"
    )


def _refuse_other_pooling(
    path: Path, weights: Weights, settings: Settings, parts: Sequence[str]
) -> None:
    """A head that was trained on other features would read these as those."""
    heads = [_PARTS[p] for p in parts if p not in ("backbone", "mask_token")]
    model = settings.model
    theirs = feature_settings(model.name)["pooling"]
    theirs = weights.about.get("pooling", theirs)
    ours = feature_settings(model.name, pooling=model.pooling)["pooling"]
    if heads and theirs != ours:
        raise CheckpointError(
            f"config.init_from = {str(path)!r} has a {heads[0]} on features with "
            f"pooling = {theirs!r}, and config.model.pooling = {model.pooling!r} makes "
            f"others; set --config.model.pooling={theirs}, or start a new classifier "
            "with --config.init_new_classifier=True"
        )
