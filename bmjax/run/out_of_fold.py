"""The folds of one data set: each image judged by the run that never saw it."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.find_unreadable import find_unreadable
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.validation_part import RunParts, split_run
from bmjax.errors import ConfigError, DataError
from bmjax.evals.predictions import Predictions
from bmjax.report.run_files import RunFiles, read_run_files
from bmjax.run.workdir import excluded, images_root, labels_of
from bmjax.training.run_config import RunConfig, read_run_config


class OutOfFold(NamedTuple):
    """The images of a data set, each judged by the run whose test part it is in.

    Attributes:
        catalog: the images.
        positions: int64 [n], sorted, of those that are in a part of the splits.
        probabilities: float32 [n, N], the classes numbered as in the catalog.
        judges: int [n], numbers of the runs.
        tested: how many images each run judges.
    """

    catalog: Catalog
    positions: np.ndarray
    probabilities: np.ndarray
    judges: np.ndarray
    tested: tuple[int, ...]

    @property
    def labels(self) -> np.ndarray:
        """Int32 [n], of the images that are judged."""
        return self.catalog.labels[self.positions]


class _Fold(NamedTuple):
    """One run: its folder, configuration and files."""

    workdir: Path
    config: RunConfig
    files: RunFiles


def gather_folds(workdirs: Sequence[Path], folder: Path | None = None) -> OutOfFold:
    """Put the test parts of runs together.

    The split of each run is made anew on the images and held against the run's.

    Args:
        workdirs: of finished runs.
        folder: where the images are now; None: where the first run read them.

    Raises:
        CheckpointError: a configuration that cannot be read.
        ConfigError: a run that was trained on images that it judges, or runs that do
            not judge every image once.
        DataError: a run that is not finished; images or splits that are not those of
            the runs.
    """
    folds = [
        _Fold(workdir, read_run_config(workdir), read_run_files(workdir))
        for workdir in workdirs
    ]
    for fold in folds:
        _check_run(fold, folds[0])
    catalog = _images(folds[0], folder)
    shape = len(catalog), len(catalog.classes)
    probabilities, judges = np.zeros(shape, np.float32), np.full(len(catalog), -1)
    dealt = np.zeros(len(catalog), bool)
    for number, fold in enumerate(folds):
        parts = _parts(fold, catalog)
        for part in (*parts.split, parts.validation):
            dealt[part] = True
        rows = _judged(fold, catalog, parts)
        if len(again := rows[judges[rows] >= 0]):
            other = folds[judges[again[0]]].workdir
            raise ConfigError(
                f"{catalog.paths[again[0]]!r} is a test image of {str(other)!r} and of "
                f"{str(fold.workdir)!r} ({len(again):,} images are); give runs whose "
                "test parts share none, such as each fold of kfold once"
            )
        judges[rows] = number
        probabilities[rows] = _in_order(fold.files.predictions, catalog)
    if len(missing := np.flatnonzero(dealt & (judges < 0))):
        raise ConfigError(
            f"{len(missing):,} of {int(dealt.sum()):,} images are in the test part of "
            f"none of the {len(folds)} run(s), first {catalog.paths[missing[0]]!r}; "
            "give the runs of all folds"
        )
    positions = np.flatnonzero(judges >= 0)
    tested = np.bincount(judges[positions], minlength=len(folds))
    return OutOfFold(
        catalog,
        positions,
        probabilities[positions],
        judges[positions],
        tuple(tested.tolist()),
    )


def copied_images(found: OutOfFold, *, threads: int = 0) -> list[list[int]]:
    """Rows of `found` whose files are the same, byte for byte, group by group.

    Groups are those in which the copies are judged by several runs, each of which was
    trained on another copy, or have several labels. Images that cannot be read are in
    none.

    Args:
        found: the images.
        threads: that read; 0 takes one for each core.
    """
    digests: dict[int, bytes] = {}
    find_unreadable(found.catalog, found.positions, threads=threads, digests=digests)
    groups = defaultdict(list)
    for row, position in enumerate(found.positions.tolist()):
        if position in digests:
            groups[digests[position]].append(row)
    return [
        rows
        for rows in groups.values()
        if len(set(found.judges[rows])) > 1 or len(set(found.labels[rows])) > 1
    ]


def _check_run(fold: _Fold, first: _Fold) -> None:
    """Refuse a run that cannot be a fold beside the first."""
    results, name = fold.files.results, str(fold.workdir)
    if fold.files.predictions.probabilities is None:
        raise DataError(
            f"{fold.files.predictions.source} has no probabilities (columns p_CLASS); "
            "finish the run with the command that began it"
        )
    if results.get("pretrained_on", fold.config.data.pretrain_on) == "all":
        raise ConfigError(
            f"{name!r} was pretrained on the images that it judges too "
            "(config.data.pretrain_on = 'all'); give runs of 'train'"
        )
    theirs, ours = (
        _text(one.files.results, "data_fingerprint") for one in (fold, first)
    )
    if theirs != ours:
        raise ConfigError(
            f"{name!r} has other images or corrections (fingerprint {theirs[:12]}) "
            f"than {str(first.workdir)!r} (fingerprint {ours[:12]}); give the folds of "
            "one data set"
        )


def _images(fold: _Fold, folder: Path | None) -> Catalog:
    """The images of a run, which must be those that it was made on."""
    data = fold.config.data
    root = images_root(fold.workdir, data, fold.config.seed, folder)
    catalog = read_catalog(
        root,
        exclude=excluded(data.exclude),
        labels=labels_of(fold.workdir, data.labels),
    )
    expected = _text(fold.files.results, "data_fingerprint")
    if catalog.fingerprint != expected:
        raise DataError(
            f"the images of {str(root)!r} are not those of the run "
            f"{str(fold.workdir)!r} (fingerprint {catalog.fingerprint[:12]}, expected "
            f"{expected[:12]}); restore them, or give the folder where they are, "
            "--data=FOLDER"
        )
    return catalog


def _parts(fold: _Fold, catalog: Catalog) -> RunParts:
    """The parts of a run's images, made anew, which must be those that it had."""
    data = fold.config.data
    parts = split_run(
        catalog,
        name=data.split,
        fold=data.fold,
        seed=data.split_seed,
        share=float(data.validation_share),
    )
    expected = _text(fold.files.results, "split_digest")
    if parts.digest != expected:
        raise DataError(
            f"the split {data.split!r}, fold {data.fold}, is not the one that the run "
            f"{str(fold.workdir)!r} was made on (digest {parts.digest[:12]}, expected "
            f"{expected[:12]}); restore the file of the split"
        )
    return parts


def _judged(fold: _Fold, catalog: Catalog, parts: RunParts) -> np.ndarray:
    """Positions of the rows of a run's predictions: its test part, and nothing else."""
    predictions = fold.files.predictions
    place = {path: position for position, path in enumerate(catalog.paths)}
    unknown = [path for path in predictions.paths if path not in place]
    if unknown:
        raise DataError(
            f"{predictions.source} judges {unknown[0]!r}, which is no image of "
            f"{str(catalog.root)!r}; finish the run with the command that began it"
        )
    rows = np.array([place[path] for path in predictions.paths])
    learned = np.intersect1d(
        rows, np.concatenate([parts.split.train, parts.validation])
    )
    if len(learned):
        raise ConfigError(
            f"{predictions.source} judges {len(learned):,} image(s) of the run's own "
            f"training part, first {catalog.paths[learned[0]]!r}; probabilities must "
            "be of images that the run never saw: take the predictions.csv that it "
            "wrote itself"
        )
    if len(absent := np.setdiff1d(parts.split.test, rows)):
        raise DataError(
            f"{predictions.source} lacks {len(absent):,} of the run's "
            f"{len(parts.split.test):,} test images, first "
            f"{catalog.paths[absent[0]]!r}; take the predictions.csv that it wrote "
            "itself"
        )
    return rows


def _in_order(predictions: Predictions, catalog: Catalog) -> np.ndarray:
    """Probabilities with the catalog's classes by number, whatever the table's order.

    Raises:
        DataError: the table has other classes.
    """
    differing = set(predictions.classes) ^ set(catalog.classes)
    if differing:
        raise DataError(
            f"{predictions.source} and {str(catalog.root)!r} do not have the same "
            f"classes: only one has {', '.join(sorted(differing))}; take the "
            "predictions.csv that the run wrote itself"
        )
    number = {name: column for column, name in enumerate(predictions.classes)}
    assert predictions.probabilities is not None  # `_check_run`
    return predictions.probabilities[:, [number[name] for name in catalog.classes]]


def _text(results: dict[str, Any], key: str) -> str:
    return str(results.get(key, "unknown"))
