"""Splits: which images train and which test, by a name, a fold and a seed."""

import hashlib
import math
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.splits.split_file import split_from_file
from bmjax.data.splits.split_lists import folds_of_lists, split_from_lists
from bmjax.errors import ConfigError, DataError, check_known
from bmjax.files import user_path

FOLDS = 5  # paper, Table 3
TEST_SHARE = 0.2  # paper's single split; the authors' code rounds the test part up
SPLITS = ("holdout", "kfold", "blocks", "dinobloom", "FILE.csv", "FOLDER")
FOLDED = ("kfold", "blocks")
_DINOBLOOM = Path(__file__).parent / "dinobloom.txt"
# Garbled, and absent from DinoBloom's count of 171,373: it neither trains nor tests.
_DINOBLOOM_LACKS = "MYB_05527"


class Split(NamedTuple):
    """Positions in a catalog, sorted and disjoint; only a list leaves images out."""

    train: np.ndarray  # int64
    test: np.ndarray  # int64


def make_split(catalog: Catalog, *, name: str, fold: int, seed: int) -> Split:
    """Split a catalog.

    `holdout` puts ceil(0.2 n) of a class's n images into the test part (34,281 of the
    release). `kfold` deals each class into five folds whose sizes differ by one at
    most, the larger first (2, 2, 2, 1, 1 of eight), and tests on fold `fold`. `blocks`
    cuts each class into five runs of neighboring file numbers: neighbors may be one
    patient's, so it is the pessimistic one. In these three a class's split depends on
    its own images, its name and the seed alone: leaving another class out does not
    change it. `dinobloom` is the published test list of DinoBloom (Koch et al. 2024),
    34,266 images of the release. A .csv file says part or group of every image
    (`split_file`), a folder has lists of them (`split_lists`).

    Raises:
        ConfigError: unknown name, or a fold out of range.
        DataError: a class without any training image, no test image at all, or a list
            that does not fit the images.
    """
    check_split(name, fold)
    if name.endswith(".csv"):
        split = Split(*split_from_file(catalog, Path(name), fold=fold, seed=seed))
    elif name == "dinobloom":
        split = _dinobloom(catalog)
    elif is_lists(name):
        folder = user_path("config.data.split", name)
        split = Split(*split_from_lists(catalog, folder, fold=fold))
    else:
        split = _by_class(catalog, name, fold, seed)
    check_trained(catalog, split, name=name, fold=fold)
    if not len(split.test):
        raise DataError(
            f"{name} {fold} of {str(catalog.root)!r} has no test image: its classes "
            "have fewer images than there are folds; add images or take a lower fold"
        )
    return split


def check_trained(catalog: Catalog, split: Split, *, name: str, fold: int) -> None:
    """Raise DataError for a class without any training image."""
    images, training = counts(catalog), counts(catalog, split.train)
    for cell, number in training.items():
        if not number:
            raise DataError(
                f"class {cell} has {images[cell]} image(s) and none of them falls into "
                f"the training part of {name} {fold}; add images or leave the class "
                f"out with --config.data.exclude=\"('{cell}',)\""
            )


def shown_to_training(split: Split, pretrain_on: str) -> np.ndarray:
    """Positions that training draws from, sorted: the training part, or "all".

    All of the split, test images too, is for methods without labels: then the figures
    are transductive, since the very images that test were seen before.
    """
    if pretrain_on == "all":
        return np.sort(np.concatenate(split))
    return split.train


def is_lists(name: str) -> bool:
    """Whether a split is given as a folder of lists."""
    other = name in SPLITS[:-1] or name.endswith(".csv")
    return not other and user_path("config.data.split", name).is_dir()


def check_split(name: str, fold: int) -> None:
    """Raise ConfigError for an unknown split or a fold that it does not have."""
    if name.endswith(".csv"):
        if not user_path("config.data.split", name).is_file():
            raise ConfigError(
                f"config.data.split = {name!r} is no file; give a CSV of path,part or "
                "path,group, or one of " + ", ".join(SPLITS[:-2])
            )
        folds = FOLDS
    elif is_lists(name):
        folds = len(folds_of_lists(user_path("config.data.split", name)))
    else:
        check_known("config.data.split", name, SPLITS)
        if name == SPLITS[-1]:
            raise ConfigError(
                f"config.data.split = {name!r} is no folder that exists; give one of "
                "lists, or one of " + ", ".join(SPLITS[:-1])
            )
        folds = FOLDS if name in FOLDED else 1
    if not 0 <= fold < folds:
        allowed = f"0 to {folds - 1}" if folds > 1 else "0 (it has one split)"
        raise ConfigError(
            f"config.data.fold = {fold} is out of range; {name} takes {allowed}"
        )


def split_digest(
    catalog: Catalog, split: Split, validation: Sequence[int] | np.ndarray = ()
) -> str:
    """SHA-256 of which path is in which part, whatever made it so.

    Args:
        catalog: the images.
        split: training and test part.
        validation: positions of a validation part; none leaves the digest as it is.
    """
    hashed = hashlib.sha256()
    parts = list(zip(split._fields, split, strict=True))
    if len(validation):
        parts.append(("validation", validation))
    for part, positions in parts:
        for position in positions:
            hashed.update(os.fsencode(catalog.paths[position]) + b"\0")
        hashed.update(f"{part}\n".encode())
    return hashed.hexdigest()


def counts(catalog: Catalog, positions: np.ndarray | None = None) -> dict[str, int]:
    """How many images, or some of them, each class has, every class named."""
    labels = catalog.labels if positions is None else catalog.labels[positions]
    numbers = np.bincount(labels, minlength=len(catalog.classes))
    return dict(zip(catalog.classes, numbers.tolist(), strict=True))


def _by_class(catalog: Catalog, name: str, fold: int, seed: int) -> Split:
    """Split every class by itself: each part has the classes' proportions."""
    test = []
    for label, cell in enumerate(catalog.classes):
        members = np.flatnonzero(catalog.split_labels == label)
        if name == "blocks":
            order = in_number_order(catalog, members)
        else:
            order = np.random.Generator(
                np.random.Philox(key=[seed, zlib.crc32(os.fsencode(cell))])
            ).permutation(members)
        if name == "holdout":
            test.append(order[: math.ceil(TEST_SHARE * len(order))])
        else:
            test.append(np.array_split(order, FOLDS)[fold])
    chosen = np.sort(np.concatenate(test))
    return Split(np.setdiff1d(np.arange(len(catalog)), chosen), chosen)


def in_number_order(catalog: Catalog, positions: np.ndarray) -> np.ndarray:
    """Positions by the numbers in their files' names: neighbors were taken together."""
    numbers = [_by_number(catalog.paths[position]) for position in positions]
    return positions[sorted(range(len(positions)), key=numbers.__getitem__)]


def _by_number(path: str) -> tuple[list, str]:
    """Order of a path: its file's name with numbers as numbers, then the path."""
    pieces = re.split(r"(\d+)", path.rpartition("/")[2])
    return [(int(p), "") if p.isdigit() else (-1, p) for p in pieces], path


def _dinobloom(catalog: Catalog) -> Split:
    """The published list, by class folder and file number."""
    wanted = set()
    for line in _DINOBLOOM.read_text().splitlines():
        cell, *numbers = line.split()
        if cell in catalog.classes:
            wanted.update(f"{cell}_{int(number):05d}" for number in numbers)
    names = [path.rpartition("/")[2].rpartition(".")[0] for path in catalog.paths]
    if absent := sorted(wanted.difference(names)):
        raise DataError(
            f"dinobloom is a list of images of the release, and {len(absent):,} of its "
            f"{len(wanted):,} are not in {str(catalog.root)!r}, first {absent[0]}.jpg; "
            "give the whole release, or another config.data.split"
        )
    if not wanted:
        raise DataError(
            "dinobloom is a list of images of the release, and none of its classes is "
            f"in {str(catalog.root)!r}; give the release, or another config.data.split"
        )
    test = np.array([name in wanted for name in names])
    kept = np.array([name != _DINOBLOOM_LACKS for name in names])
    return Split(np.flatnonzero(~test & kept), np.flatnonzero(test))
