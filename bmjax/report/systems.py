"""The systems of a page: runs and tables of predictions, read and checked together."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.listing import is_hidden
from bmjax.errors import ConfigError, DataError
from bmjax.evals.predictions import Predictions, read_predictions, spell_as
from bmjax.report.own_images import holds_images_of
from bmjax.report.run_files import RunFiles, read_run_files, section
from bmjax.report.words import listing


class System(NamedTuple):
    """One evaluated system: a run, or a table of predictions of any other."""

    name: str  # no other on the page has it
    source: Path
    predictions: Predictions
    run: RunFiles | None  # None for a table, and for folds put together
    folds: tuple["System", ...] = ()  # those that `folds.pool_folds` put together


def read_systems(runs: Sequence[Path], tables: Sequence[Path]) -> list[System]:
    """Read runs and tables of predictions, the runs first.

    Raises:
        ConfigError: one of them is given twice.
        DataError: one of them cannot be used, or their classes are not the same.
    """
    sources = [*runs, *tables]
    whole = [os.path.realpath(source) for source in sources]
    for source, path in zip(sources, whole, strict=True):
        if whole.count(path) > 1:
            raise ConfigError(
                f"expected each run and each table once, but {source} is given twice: "
                "leave one of them out"
            )
    names = iter(names_apart(sources))
    systems = []
    for folder in runs:
        run = read_run_files(folder)
        systems.append(System(next(names), folder, run.predictions, run))
    for table in tables:
        predictions = read_predictions(table)
        for system in systems:  # a path is spelled alike on the whole page
            predictions = spell_as(system.predictions, predictions)
        systems.append(System(next(names), table, predictions, None))
    return _of_one_set_of_classes(systems)


def names_apart(sources: Sequence[Path]) -> list[str]:
    """The shortest end of each path that no other path has, without .csv."""
    parts = [Path(os.path.abspath(source)).parts[1:] for source in sources]
    names = [str(source) for source in sources]
    for taken in range(1, max(map(len, parts), default=0) + 1):
        ends = ["/".join(part[-taken:]) for part in parts]
        if len(set(ends)) == len(ends):
            short = [end.removesuffix(".csv") or end for end in ends]
            return short if len(set(short)) == len(ends) else ends
    return names


def image_roots(
    system: System,
    *,
    own: bool = False,
    note: Callable[[str], None] = lambda sentence: None,
) -> list[Path]:
    """Folders below which the images of a system may lie: those of its runs.

    Args:
        system: a run, or folds put together.
        own: the run has just been made here; of any other a folder counts only where
            it holds the very images that the run was made on.
        note: takes a sentence where a folder is there and does not.
    """
    if system.run is None:
        return image_roots(system.folds[0], note=note) if system.folds else []
    root, within = _named_root(system)
    if own or root is None or not os.path.isdir(root):
        return [] if root is None else folders_of_cells(root)
    if holds_images_of(system.run, root, within=within):
        return folders_of_cells(root)
    note(
        f"{system.name}: no pictures of cells from {str(root)!r}, which does not hold "
        "the images that the run was made on; give their folder with --images"
    )
    return []


def _named_root(system: System) -> tuple[Path | None, Path | None]:
    """The folder that a run's configuration names; and where its images must lie."""
    data = section(system.run.config, "data")
    given = data.get("root")
    if isinstance(given, str) and given:
        return Path(os.path.expanduser(given)), None
    drawn = f"cells-{data.get('synthetic_images')}-{system.run.config.get('seed')}"
    if os.sep in drawn or "\0" in drawn:
        return None, None
    return system.source / drawn, system.source


def folders_of_cells(root: Path) -> list[Path]:
    """A data folder and those in it, one of which may wrap the classes."""
    try:
        inner = sorted(
            path
            for path in root.iterdir()
            if path.is_dir() and not is_hidden(path.name)
        )
    except (OSError, ValueError):
        return []
    return [root, *inner]


def _of_one_set_of_classes(systems: Sequence[System]) -> list[System]:
    """The systems, all with the same classes in the same order.

    Systems with probabilities must choose among the same classes. A table without
    names only the classes that occur, which are to be among those of the others.
    """
    whole = [
        system for system in systems if system.predictions.probabilities is not None
    ]
    if not whole:
        union = sorted(
            {name for system in systems for name in system.predictions.classes}
        )
        return [_renumbered(system, tuple(union)) for system in systems]
    first = whole[0]
    classes = first.predictions.classes
    for system in systems:
        mine = set(system.predictions.classes)
        lacking = set(classes) - mine if system in whole else set()
        for name, extra in (
            (system.name, mine - set(classes)),
            (first.name, lacking),
        ):
            if extra:
                raise DataError(
                    f"expected systems of the same classes, but of {first.name} and "
                    f"{system.name} only {name} has {listing(sorted(extra))}: make a "
                    "page of each set of classes"
                )
    return [_renumbered(system, classes) for system in systems]


def _renumbered(system: System, classes: tuple[str, ...]) -> System:
    """A system whose classes, those of `classes` or some of them, have this order."""
    old = system.predictions
    if old.classes == classes:
        return system
    number = np.array([classes.index(name) for name in old.classes])
    probabilities = old.probabilities
    if probabilities is not None:
        probabilities = np.empty_like(old.probabilities)
        probabilities[:, number] = old.probabilities
    predictions = old._replace(
        classes=classes,
        labels=number[old.labels],
        predicted=number[old.predicted],
        probabilities=probabilities,
    )
    return system._replace(predictions=predictions)
