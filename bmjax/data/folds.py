"""Splits: which images train and which test, by a name and a seed."""

import math
import os
import zlib
from typing import NamedTuple

import numpy as np

from bmjax.data.folder import Catalog
from bmjax.errors import ConfigError, DataError, check_known

FOLDS = 5  # paper, Table 3
TEST_SHARE = 0.2  # paper's single split; the authors' code rounds the test part up
SPLITS = ("holdout", "kfold")


class Split(NamedTuple):
    """Positions in a catalog, sorted: disjoint, and together all of it."""

    train: np.ndarray  # int64
    test: np.ndarray  # int64


def make_split(catalog: Catalog, *, name: str, fold: int, seed: int) -> Split:
    """Split every class by itself, so that each part has the classes' proportions.

    `holdout` puts ceil(0.2 n) of a class's n images into the test part (34,281 of the
    release). `kfold` deals each class into five folds whose sizes differ by one at
    most, the larger first (2, 2, 2, 1, 1 of eight), and tests on fold `fold`. A class's
    split depends on its own images, its name and the seed alone: leaving another class
    out does not change it.

    Raises:
        ConfigError: unknown name, or a fold out of range.
        DataError: a class without any training image, or no test image at all.
    """
    check_split(name, fold)
    train, test = [], []
    for label, cell in enumerate(catalog.classes):
        members = np.flatnonzero(catalog.labels == label)
        order = np.random.Generator(
            np.random.Philox(key=[seed, zlib.crc32(os.fsencode(cell))])
        ).permutation(members)
        if name == "holdout":
            part = order[: math.ceil(TEST_SHARE * len(order))]
        else:
            part = np.array_split(order, FOLDS)[fold]
        rest = np.setdiff1d(members, part)
        if not len(rest):
            raise DataError(
                f"class {cell} has {len(members)} image(s) and none of them falls into "
                f"the training part of {name} {fold}; add images or leave the class "
                f"out with --config.data.exclude=\"('{cell}',)\""
            )
        train.append(rest)
        test.append(part)
    split = Split(np.sort(np.concatenate(train)), np.sort(np.concatenate(test)))
    if not len(split.test):
        raise DataError(
            f"{name} {fold} of {str(catalog.root)!r} has no test image: its classes "
            "have fewer images than there are folds; add images or take a lower fold"
        )
    return split


def check_split(name: str, fold: int) -> None:
    """Raise ConfigError for an unknown split or a fold that it does not have."""
    check_known("config.data.split", name, SPLITS)
    if not 0 <= fold < (FOLDS if name == "kfold" else 1):
        allowed = f"0 to {FOLDS - 1}" if name == "kfold" else "0 (it has one split)"
        raise ConfigError(
            f"config.data.fold = {fold} is out of range; {name} takes {allowed}"
        )


def counts(catalog: Catalog, positions: np.ndarray) -> dict[str, int]:
    """How many of some images each class has, every class named."""
    numbers = np.bincount(catalog.labels[positions], minlength=len(catalog.classes))
    return dict(zip(catalog.classes, numbers.tolist(), strict=True))
