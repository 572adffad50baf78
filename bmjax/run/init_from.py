"""Starting from weights that are there (`config.init_from`): a run's, or a file's."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.seen_images import Seen, catalog_hashes, record_images, shared_images
from bmjax.data.splits.make_split import (
    Split,
    make_split,
    shown_to_training,
    split_digest,
)
from bmjax.errors import BmjaxError, CheckpointError, ConfigError
from bmjax.models import feature_settings
from bmjax.run.build import RunData
from bmjax.run.run_settings import Settings
from bmjax.training import checkpoint
from bmjax.training.step import TrainState
from bmjax.training.trained_network import (
    Weights,
    about_source,
    read_file,
    read_run,
    seen_by,
)
from bmjax.types import Tree

_PARTS = {
    "backbone": "backbone",
    "fc": "classifier",
    "head": "projection head",
    "prototypes": "prototypes",
}


def start_from(
    state: TrainState, settings: Settings, data: RunData, say: Callable[[str], None]
) -> TrainState:
    """Replace a new state's parameters and statistics by those of `config.init_from`.

    The whole backbone fits, or nothing is taken. A classifier of the same classes is
    taken too, and a projection head and prototypes where they are of the same shapes;
    what is taken is said.

    Raises:
        ConfigError: there is no such run or file, or it was trained on images that
            would now test it.
        CheckpointError: the networks differ; or the classifier's classes do, and
            `config.init_new_classifier` is off.
    """
    path = Path(settings.init_from).expanduser()
    renew = settings.init_new_classifier
    weights = _read(path, state, settings, len(data.catalog.classes), say)
    if trained_on := weights.about.get("trained_on"):
        transductive = settings.data.pretrain_on == "all"
        if trained_on.get("pretrain_on") == "all":
            _refuse_transductive(path, trained_on, data.catalog, transductive)
        else:
            _refuse_seen_images(path, trained_on, data.catalog, data.split)
    if settings.data.pretrain_on != "all":
        refuse_seen(path, seen_by(weights.about), data.catalog, data.split, say)
    if "fc" in state.params["network"] and "fc" in weights.params and not renew:
        _refuse_other_classes(path, weights, data.catalog.classes, say)

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
            found[name] = jax.tree.map(
                jnp.copy, jax.device_put(theirs[name], everywhere)
            )
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


def _refuse_other_pooling(
    path: Path, weights: Weights, settings: Settings, parts: Sequence[str]
) -> None:
    """A head that was trained on other features would read these as those."""
    heads = [_PARTS[part] for part in parts if part != "backbone"]
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


def _refuse_transductive(
    path: Path, source: dict[str, Any], catalog: Catalog, transductive: bool
) -> None:
    """A backbone that saw the test images unlabelled is judged only as such a one."""
    if source["data_fingerprint"] == catalog.fingerprint and not transductive:
        raise ConfigError(
            f"config.init_from = {str(path)!r} was pretrained on all of these images, "
            "those of the test part too (config.data.pretrain_on = 'all'), and this "
            "run's figures would not say so; start from a run of 'train' (the other's "
            "own linear probe is in its results.json)"
        )


def _refuse_seen_images(
    path: Path, source: dict[str, Any], catalog: Catalog, split: Split
) -> None:
    """A backbone that was trained on test images would flatter itself."""
    if source["data_fingerprint"] != catalog.fingerprint:
        return
    if source["split_digest"] == split_digest(catalog, split):
        return
    name = source["split"]
    try:
        theirs = make_split(
            catalog, name=name, fold=source["fold"], seed=source["split_seed"]
        )
    except BmjaxError as error:
        raise ConfigError(
            f"config.init_from = {str(path)!r} was trained on another split of these "
            f"images, {name!r}, and whether it saw the test images cannot be told: "
            f"{error}"
        ) from None
    seen = len(np.intersect1d(theirs.train, split.test))
    if seen:
        raise ConfigError(
            f"config.init_from = {str(path)!r} was trained on {seen:,} of the "
            f"{len(split.test):,} test images; use its split, --config.data.split="
            f"{source['split']} --config.data.fold={source['fold']} "
            f"--config.data.split_seed={source['split_seed']}"
        )


def refuse_seen(
    path: Path,
    seen: Seen | None,
    catalog: Catalog,
    split: Split,
    say: Callable[[str], None],
) -> None:
    """Refuse weights that were trained on test images, whatever lies beside these.

    Where it cannot be known, that is said.

    Raises:
        ConfigError: a test image was trained on.
    """
    if seen is None:
        say(
            f"note: {path} does not say which images it was trained on; whether it saw "
            "the test images is not known"
        )
        return
    shared = shared_images(seen, catalog_hashes(catalog, split.test))
    if len(shared):
        first = catalog.paths[split.test[shared[0]]]
        raise ConfigError(
            f"config.init_from = {str(path)!r} was trained on {len(shared):,} of the "
            f"{len(split.test):,} test images, such as {first!r} (the same class, file "
            "name and size, though the images beside them are others); test on images "
            "that it has not seen, by config.data.split and config.data.fold"
        )
    for name in seen.unknown:
        say(
            f"note: {path} began with {name}, which does not say which images it was "
            "trained on; whether those are test images is not known"
        )


def record_seen(settings: Settings, data: RunData) -> dict[str, Any]:
    """What this run's network will have seen, and what it started from, as JSON.

    Args:
        settings: of the run that trains.
        data: its images.
    """
    shown = shown_to_training(data.split, settings.data.pretrain_on)
    seen = record_images(data.catalog, shown)
    if settings.init_from:
        path = Path(settings.init_from).expanduser()
        nothing = Seen(seen.images[:0], (path.name,))
        seen = seen.joined(seen_by(about_source(path)) or nothing)
    return seen.as_json()
