"""A user's own split: a CSV that gives every image a part or a group."""

from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.user_tables import UserTable, pair_images, read_user_table
from bmjax.errors import DataError

_PARTS = ("train", "test", "none")  # "none" leaves an image out
_COLUMNS = ("part", "group")
_GROUP_FOLDS = 5  # as kfold


def split_from_file(
    catalog: Catalog, path: Path, *, fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split by a CSV with a header `path,part` or `path,group`.

    Paths are those of the catalog, relative to the folder that holds the classes, or
    spelled otherwise where the meaning is plain (`data.user_tables`); each image has
    one row. Other columns are not used. `part` is train, test or none. Groups, such as
    patients, are dealt whole into five folds with the classes' proportions as even as
    they can be (scikit-learn's StratifiedGroupKFold), and fold `fold` tests.

    Returns:
        positions of the training and of the test images, int64, sorted.

    Raises:
        DataError: the file cannot be read, does not name every image once, gives no
            image to train or to test, or holds fewer groups than folds.
    """
    table, column = _read(path)
    values = _in_order(catalog, path, _by_image(catalog, path, table, column))
    if column == "part":
        if fold:
            raise DataError(
                f"config.data.fold = {fold}, but {str(path)!r} gives one split; use 0"
            )
        if wrong := sorted(set(values).difference(_PARTS)):
            raise DataError(
                f"{str(path)!r} has a part {wrong[0]!r}; use {', '.join(_PARTS)}"
            )
        for part in ("train", "test"):
            if part not in values:
                raise DataError(
                    f"{str(path)!r} gives no image of {str(catalog.root)!r} the part "
                    f"{part!r}; give it some"
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
    return _grouped(catalog.split_labels, values, fold, seed)


def groups_of_images(catalog: Catalog, path: Path) -> list[str] | None:
    """The group of each image of the catalog; None where the file gives parts.

    Raises:
        DataError: the file cannot be read, or does not name every image once.
    """
    table, column = _read(path)
    if column == "part":
        return None
    return _in_order(catalog, path, _by_image(catalog, path, table, column))


def folds_of_file(path: Path) -> list[int]:
    """The folds that a user's own split has: one by parts, five by groups.

    Raises:
        DataError: the file cannot be read.
    """
    return [0] if _read(path)[1] == "part" else list(range(_GROUP_FOLDS))


def _read(path: Path) -> tuple[UserTable, str]:
    """The table, and the column that splits."""
    table = read_user_table(path, ("path",), any_of=_COLUMNS)
    both = [name for name in _COLUMNS if name in table.header]
    if len(both) > 1:
        raise DataError(
            f"{str(path)!r} has a column part and a column group; its first line "
            "should be path,part or path,group"
        )
    return table, both[0]


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


def _by_image(
    catalog: Catalog, path: Path, table: UserTable, column: str
) -> dict[str, str]:
    """The column's value for each path, those of the catalog as the catalog has them.

    Parts may be written in any case: no two of them differ by it.
    """
    cells = [row[table.header.index("path")] for row in table.rows]
    values = [row[table.header.index(column)].strip() for row in table.rows]
    if column == "part":
        values = [value.lower() for value in values]
    rows: dict[str, str] = {}
    paired = pair_images(cells, catalog.paths)
    for cell, known, value, line in zip(
        cells, paired, values, table.lines, strict=True
    ):
        name = cell if known is None else known
        if name in rows:
            raise DataError(
                f"{str(path)!r}, row {line}, names an image again: {cell!r}; each "
                "image has one row of path and value"
            )
        rows[name] = value
    return rows


def _in_order(catalog: Catalog, path: Path, rows: dict[str, str]) -> list[str]:
    """The value of each image; classes that are left out may be named."""
    known = set(catalog.paths)
    absent = [image for image in catalog.paths if image not in rows]
    strange = [image for image in rows if image not in known]
    if absent:
        named = f"; it has {strange[0]!r}" if strange else ""
        raise DataError(
            f"{str(path)!r} lacks {len(absent):,} image(s) of {str(catalog.root)!r}, "
            f"first {absent[0]!r}{named}; give each image one row, with its path "
            "below the folder of classes"
        )
    strange = [image for image in strange if image.split("/")[0] in catalog.classes]
    if strange:
        raise DataError(
            f"{str(path)!r} names {len(strange):,} image(s) of {str(catalog.root)!r}, "
            f"which are not there, first {strange[0]!r} (it has {catalog.paths[0]!r}); "
            "give each image one row, with its path below the folder of classes"
        )
    return [rows[image] for image in catalog.paths]
