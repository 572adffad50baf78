"""A user's own split: a CSV that gives every image a part or a group."""

import csv
from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.errors import DataError
from bmjax.files import without_dot

_PARTS = ("train", "test", "none")  # "none" leaves an image out
_GROUP_FOLDS = 5  # as kfold


def split_from_file(
    catalog: Catalog, path: Path, *, fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split by a CSV with a header `path,part` or `path,group`.

    Paths are those of the catalog, relative to the folder that holds the classes; each
    image has one row. `part` is train, test or none. Groups, such as patients, are
    dealt whole into five folds with the classes' proportions as even as they can be
    (scikit-learn's StratifiedGroupKFold), and fold `fold` tests.

    Returns:
        positions of the training and of the test images, int64, sorted.

    Raises:
        DataError: the file cannot be read, does not name every image once, or holds
            fewer groups than folds.
    """
    column, rows = _read(path)
    values = _in_order(catalog, path, rows)
    if column == "part":
        if fold:
            raise DataError(
                f"config.data.fold = {fold}, but {str(path)!r} gives one split; use 0"
            )
        if wrong := sorted(set(values).difference(_PARTS)):
            raise DataError(
                f"{str(path)!r} has a part {wrong[0]!r}; use {', '.join(_PARTS)}"
            )
        parts = np.array(values)
        return np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    groups = sorted(set(values))
    if "" in groups or len(groups) < _GROUP_FOLDS:
        raise DataError(
            f"{str(path)!r} has {len(groups)} group(s), some of them empty or fewer "
            f"than {_GROUP_FOLDS}; give every image the name of its group, and at "
            f"least {_GROUP_FOLDS} groups"
        )
    return _grouped(catalog.labels, values, fold, seed)


def _grouped(
    labels: np.ndarray, values: list[str], fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(_GROUP_FOLDS, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # A class smaller than the folds is said by the caller, class by class.
        warnings.filterwarnings("ignore", "The least populated class")
        parts = list(folds.split(labels, labels, np.array(values)))
    train, test = parts[fold]
    return np.sort(train), np.sort(test)


def _read(path: Path) -> tuple[str, dict[str, str]]:
    """The second column's name, and its value for each path."""
    try:
        # Names that are no UTF-8 go through as they do in the catalog.
        with open(
            path.expanduser(), newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            lines = list(csv.reader(file))
    except (OSError, csv.Error) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}") from None
    header = lines[0] if lines else []
    if len(header) != 2 or header[0] != "path" or header[1] not in ("part", "group"):
        raise DataError(
            f"{str(path)!r} begins with {','.join(header)!r}; its first line should be "
            "path,part or path,group"
        )
    rows: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        if len(line) != 2 or without_dot(line[0]) in rows:
            what = "names an image again" if len(line) == 2 else "has not two cells"
            raise DataError(
                f"{str(path)!r}, row {number}, {what}: {','.join(line)!r}; each image "
                "has one row of path and value"
            )
        rows[without_dot(line[0])] = line[1].strip()
    return header[1], rows


def _in_order(catalog: Catalog, path: Path, rows: dict[str, str]) -> list[str]:
    """The value of each image; classes that are left out may be named."""
    absent = [image for image in catalog.paths if image not in rows]
    known = set(catalog.paths)
    strange = [
        image
        for image in rows
        if image not in known and image.split("/")[0] in catalog.classes
    ]
    if absent or strange:
        what, first = ("lacks", absent) if absent else ("names", strange)
        tail = "" if absent else ", which are not there"
        raise DataError(
            f"{str(path)!r} {what} {len(first):,} image(s) of "
            f"{str(catalog.root)!r}{tail}, first {first[0]!r}; give each image one "
            "row, with its path below the folder of classes"
        )
    return [rows[image] for image in catalog.paths]
