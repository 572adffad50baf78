"""Weights that were trained on test images are not judged by them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.seen_images import Seen, catalog_hashes, record_images, shared_images
from bmjax.data.splits.make_split import (
    Split,
    make_split,
    shown_to_training,
    split_digest,
)
from bmjax.errors import BmjaxError, ConfigError
from bmjax.files import user_path
from bmjax.run.build import RunData
from bmjax.run.run_settings import Settings
from bmjax.training.trained_network import about_source, seen_by


class _Leak(NamedTuple):
    """What weights have seen of a test part.

    positions: in the test part, of the images that were trained on.
    unknown: weights that these began with, and of which nobody knows what they saw.
    """

    positions: np.ndarray
    unknown: tuple[str, ...] = ()


def refuse_seen(
    path: Path,
    about: dict[str, Any],
    catalog: Catalog,
    split: Split,
    *,
    transductive: bool,
    say: Callable[[str], None],
) -> None:
    """Refuse weights that were trained on test images, whatever lies beside these.

    Each image is known by itself (`data.seen_images`); where older weights kept no
    record of them, their split is made again on the same images. Where neither can be
    done, it is said that it is not known.

    Args:
        path: of the weights, for errors.
        about: what is known about them (`training.trained_network.Weights`).
        catalog: the images of the run that begins.
        split: its split.
        transductive: whether that run says of itself that it sees test images
            unlabeled; then it may begin with weights that say the same.
        say: hears what is not known.

    Raises:
        ConfigError: a test image was trained on, or weights of the same images have a
            split that cannot be made again.
    """
    source = about.get("trained_on") or {}
    theirs_too = source.get("pretrain_on") == "all"
    if transductive and theirs_too:
        return
    leak = _find_leak(path, about, catalog, split)
    if leak is None:
        say(
            f"note: {path} does not say which images it was trained on; whether it saw "
            "the test images is not known"
        )
        return
    if len(leak.positions):
        said = f"config.init_from = {str(path)!r} was "
        count = f"{len(leak.positions):,} of the {len(split.test):,} test images"
        if theirs_too:
            raise ConfigError(
                f"{said}pretrained on {count} too (config.data.pretrain_on = 'all'), "
                "and this run's figures would not say so; start from a run of 'train' "
                "(the other's own linear probe is in its results.json)"
            )
        first = catalog.paths[split.test[leak.positions[0]]]
        cure = _cure(seen_by(about), source, catalog)
        raise ConfigError(f"{said}trained on {count}, such as {first!r}; {cure}")
    for name in leak.unknown:
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
        path = user_path("config.init_from", settings.init_from)
        nothing = Seen(seen.images[:0], (path.name,))
        seen = seen.joined(seen_by(about_source(path)) or nothing)
    return seen.as_json()


def _find_leak(
    path: Path, about: dict[str, Any], catalog: Catalog, split: Split
) -> _Leak | None:
    """Which test images have been trained on; None where it cannot be known."""
    seen = seen_by(about)
    if seen is not None:
        shared = shared_images(seen, catalog_hashes(catalog, split.test))
        return _Leak(shared, seen.unknown)
    source = about.get("trained_on") or {}
    if source.get("data_fingerprint") != catalog.fingerprint:
        return None
    if source.get("pretrain_on") == "all":
        return _Leak(np.arange(len(split.test)))
    if source.get("split_digest") == split_digest(catalog, split):
        return _Leak(np.arange(0))
    try:
        theirs = _split_of(source, catalog)
    except BmjaxError as error:
        raise ConfigError(
            f"config.init_from = {str(path)!r} was trained on another split of these "
            f"images, {source['split']!r}, and whether it saw the test images cannot "
            f"be told: {error}"
        ) from None
    return _Leak(np.flatnonzero(np.isin(split.test, theirs.train)))


def _cure(seen: Seen | None, source: dict[str, Any], catalog: Catalog) -> str:
    """The split of the weights' own run, where it keeps what they saw out of its test.

    It may not where images were added since.
    """
    try:
        theirs = _split_of(source, catalog)
        helps = seen is None or not len(
            shared_images(seen, catalog_hashes(catalog, theirs.test))
        )
    except (BmjaxError, KeyError):
        helps = False
    if not helps:
        return (
            "test on images that it has not seen, by config.data.split and "
            "config.data.fold"
        )
    return (
        f"use its split, --config.data.split={source['split']} "
        f"--config.data.fold={source['fold']} "
        f"--config.data.split_seed={source['split_seed']}"
    )


def _split_of(source: dict[str, Any], catalog: Catalog) -> Split:
    """The split that weights were trained on, made of the images that are here."""
    return make_split(
        catalog, name=source["split"], fold=source["fold"], seed=source["split_seed"]
    )
