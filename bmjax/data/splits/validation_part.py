"""The validation part: images cut from the training part, to judge a run on."""

import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.splits.make_split import (
    Split,
    check_trained,
    in_number_order,
    make_split,
    split_digest,
)
from bmjax.data.splits.split_file import groups_of_images
from bmjax.errors import DataError

_STREAM = 1 << 32  # apart from the keys that `make_split` draws with
_TINY = 1e-9  # 0.29 of 100 is 29, and 28.999999999999996 in floating point


def hold_out_validation(
    catalog: Catalog, split: Split, *, share: float, name: str, seed: int
) -> tuple[Split, np.ndarray]:
    """Cut a validation part from the training part; the test part stays as it is.

    Of a class's n training images floor(share n) are held out, drawn at random. Those
    of a class depend on its own training images, its name, the share and the seed
    alone. Of `blocks` they are one run of neighboring file numbers, as the test part
    is. Where a split file has groups, these stay whole: one group after the other is
    held out, always the one that brings the held-out shares of the classes nearest to
    `share` (least sum of squares, every class counting the same), as long as one does;
    none takes the last training image of a class.

    Args:
        catalog: the images.
        split: its two parts.
        share: of the training images, 0 to 0.5; 0 holds nothing out.
        name: of the split, as `make_split` takes it.
        seed: of the split.

    Returns:
        the split without the validation images, and their positions, int64 [V], sorted.

    Raises:
        DataError: the share is so small that no image is held out.
    """
    if not share:
        return split, split.train[:0]
    groups = None
    if name.endswith(".csv"):
        groups = groups_of_images(catalog, Path(name))
    if groups is None:
        held = _by_class(catalog, split.train, share, seed, runs=name == "blocks")
    else:
        of_train = np.unique(np.array(groups)[split.train], return_inverse=True)[1]
        labels = catalog.split_labels[split.train]
        held = split.train[_whole_groups(labels, of_train, share, seed)]
    if not len(held):
        what = "class" if groups is None else "group"
        raise DataError(
            f"config.data.validation_share = {share:g} of {len(split.train):,} "
            f"training images holds none out, {what} by {what}; give a larger "
            "share (0.5 at most), or 0 for no validation part"
        )
    return Split(np.setdiff1d(split.train, held), split.test), held


class RunParts(NamedTuple):
    """The parts of a run's images, disjoint, and the digest of which is where."""

    split: Split
    validation: np.ndarray  # int64 [V], sorted
    digest: str


def split_run(
    catalog: Catalog, *, name: str, fold: int, seed: int, share: float
) -> RunParts:
    """Split a catalog into training, validation and test part.

    Corrections of labels move no image from part to part (`Catalog.split_labels`);
    images that they leave out are taken from their part when all are dealt.

    Args:
        catalog: the images.
        name: of the split, as `make_split` takes it.
        fold: of it.
        seed: of it.
        share: of the training images to validate on, as `hold_out_validation` takes it.

    Raises:
        ConfigError: as `make_split`.
        DataError: as `make_split` and `hold_out_validation`, or the corrections leave
            no test image.
    """
    split = make_split(catalog, name=name, fold=fold, seed=seed)
    split, validation = hold_out_validation(
        catalog, split, share=share, name=name, seed=seed
    )
    if len(catalog.left_out):
        train, test, validation = (
            np.setdiff1d(part, catalog.left_out) for part in (*split, validation)
        )
        split = Split(train, test)
    if catalog.filed is not None:
        check_trained(catalog, split, name=name, fold=fold)
        if not len(split.test):
            raise DataError(
                f"config.data.labels leaves out every test image of {name} {fold}; "
                "keep some, or take another split or fold"
            )
    return RunParts(split, validation, split_digest(catalog, split, validation))


def _by_class(
    catalog: Catalog, train: np.ndarray, share: float, seed: int, *, runs: bool
) -> np.ndarray:
    """A share of each class, rounded down: any images of it, or a run of neighbors."""
    held = []
    for label, cell in enumerate(catalog.classes):
        members = train[catalog.split_labels[train] == label]
        count = int(share * len(members) + _TINY)
        random = np.random.Generator(
            np.random.Philox(key=[seed, _STREAM | zlib.crc32(os.fsencode(cell))])
        )
        if runs:
            start = int(random.integers(len(members) - count + 1))
            held.append(in_number_order(catalog, members)[start : start + count])
        else:
            held.append(random.permutation(members)[:count])
    return np.sort(np.concatenate(held))


def _whole_groups(
    labels: np.ndarray, groups: np.ndarray, share: float, seed: int
) -> np.ndarray:
    """Which rows are held out, bool [n]: whole groups.

    Args:
        labels: int [n], of the training images.
        groups: int [n], 0 to the number of groups - 1.
        share: of each class that is wanted.
        seed: decides between groups that are equally good.
    """
    numbers = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(numbers, (groups, labels), 1)
    images = numbers.sum(axis=0)
    numbers, images = numbers[:, images > 0], images[images > 0]
    order = np.random.Generator(np.random.Philox(key=[seed, _STREAM << 1])).permutation(
        len(numbers)
    )
    chosen = np.zeros(len(numbers), bool)
    held, distance = np.zeros(len(images)), share**2 * len(images)
    while len(order):
        after = held + numbers[order]
        distances = ((after / images - share) ** 2).sum(axis=1)
        distances[(after >= images).any(axis=1)] = np.inf
        nearest = int(distances.argmin())
        if not distances[nearest] < distance:
            break
        held, distance = after[nearest], distances[nearest]
        chosen[order[nearest]] = True
        order = np.delete(order, nearest)
    return chosen[groups]
