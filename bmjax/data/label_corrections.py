"""Corrections of labels: a CSV of path,label that is laid over the folders' labels."""

import dataclasses
import difflib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.user_tables import pair_images, read_user_table
from bmjax.errors import DataError
from bmjax.files import plain_cell, user_path, without_dot, write_csv

_KEY = "config.data.labels"
LEAVES_OUT = ("", "-")  # labels of images that are in no part of a split
_NEAR = 0.4  # likeness of a name that is suggested; ours


def correct_labels(
    catalog: Catalog, file: str | os.PathLike, *, exclude: Sequence[str] = ()
) -> Catalog:
    """Give images the labels of a CSV with the columns path and label.

    An empty label, or "-", leaves the image out of every part of a split, as does the
    name of an excluded class. A column `was` must have the label that the folder
    gives, where it is not empty. Other columns, such as who and when, are not used.
    Images that the file does not name keep their folder's label, and those of excluded
    folders stay out. Paths are spelled as in a split file (`data.user_tables`). The
    classes stay those of the folders, in their order.

    Args:
        catalog: the images as the folders label them.
        file: the corrections.
        exclude: classes that the catalog was read without.

    Returns:
        the catalog with other labels. Its fingerprint is one of the images and of the
        corrections that change something, in whatever order the file has them; where
        none does, it is the catalog itself.

    Raises:
        DataError: the file cannot be read, or names an image that is not there, one
            image twice, a class that is none, or another former label.
    """
    path = user_path(_KEY, file)
    rows = _read(path, catalog, set(exclude))
    labels, left_out = catalog.labels.copy(), []
    number = {name: label for label, name in enumerate(catalog.classes)}
    for position, label in rows.items():
        if label in LEAVES_OUT or label in exclude:
            left_out.append(position)
        else:
            labels[position] = number[label]
    if not left_out and (labels == catalog.labels).all():
        return catalog
    corrected = dataclasses.replace(
        catalog,
        labels=labels,
        filed=catalog.labels,
        left_out=np.array(sorted(left_out), np.int64),
    )
    digest = _digest(corrected)
    return dataclasses.replace(
        corrected,
        corrections=digest,
        fingerprint=corrected_fingerprint(catalog.fingerprint, digest),
    )


def corrected_fingerprint(fingerprint: str, corrections: str) -> str:
    """The fingerprint of images with corrections; the images' own where there are none.

    Args:
        fingerprint: of the images as their folders label them.
        corrections: digest, as `Catalog.corrections`; "" without.
    """
    if not corrections:
        return fingerprint
    return hashlib.sha256(f"{fingerprint}\0{corrections}".encode()).hexdigest()


def describe_corrections(catalog: Catalog) -> str:
    """How many labels are corrected and how many images are left out, in words."""
    changed = len(corrected_rows(catalog)) - len(catalog.left_out)
    return (
        f"{changed:,} label{'' if changed == 1 else 's'} corrected, "
        f"{len(catalog.left_out):,} image{'' if len(catalog.left_out) == 1 else 's'} "
        "left out"
    )


def corrected_rows(catalog: Catalog) -> list[tuple[str, str, str]]:
    """(path, label, was) of each correction that changes something, by path.

    The label of an image that is left out is empty.
    """
    if catalog.filed is None:
        return []
    left_out = set(catalog.left_out.tolist())
    differing = np.flatnonzero(catalog.labels != catalog.filed).tolist()
    return [
        (
            catalog.paths[position],
            "" if position in left_out else catalog.classes[catalog.labels[position]],
            catalog.classes[catalog.filed[position]],
        )
        for position in sorted({*differing, *left_out})
    ]


def write_corrections(path: Path, catalog: Catalog) -> None:
    """Write the corrections of a catalog as `correct_labels` reads them.

    Raises:
        CannotWrite: the disk is full, or the place may not be written.
    """
    rows = ([plain_cell(cell) for cell in row] for row in corrected_rows(catalog))
    write_csv(path, ("path", "label", "was"), rows)


def _digest(catalog: Catalog) -> str:
    digest = hashlib.sha256()
    for path, label, _ in corrected_rows(catalog):
        digest.update(os.fsencode(path) + b"\0" + os.fsencode(label) + b"\n")
    return digest.hexdigest()


def _read(path: Path, catalog: Catalog, exclude: set[str]) -> dict[int, str]:
    """The label of each image that the file names, by position."""
    table = read_user_table(path, ("path", "label"))
    has_was = "was" in (names := [name.strip().lower() for name in table.header])
    columns = [table.header.index("path"), table.header.index("label")]
    columns += [names.index("was")] if has_was else []
    cells = [[without_dot(row[i].strip()) for i in columns] for row in table.rows]
    place = {name: position for position, name in enumerate(catalog.paths)}
    named: dict[int, str] = {}
    lines: dict[int, int] = {}
    paired = pair_images([row[0] for row in cells], catalog.paths)
    for (image, label, *was), known, line in zip(
        cells, paired, table.lines, strict=True
    ):
        where = f"{_KEY}: {str(path)!r}, line {line}"
        if known is None and _class_of(image) in exclude:
            continue
        if known is None:
            raise DataError(
                f"{where}: there is no image {image!r} in {str(catalog.root)!r} (it "
                f"has {catalog.paths[0]!r}); give paths below the folder of classes"
            )
        position = place[known]
        if position in named:
            raise DataError(
                f"{where}: {image!r} is on line {lines[position]} already; keep one "
                "row for each image"
            )
        if label not in (*LEAVES_OUT, *catalog.classes, *exclude):
            near = difflib.get_close_matches(label, catalog.classes, 1, _NEAR)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise DataError(
                f"{where}: label is {label!r}, which is no class{hint}; use one of "
                f"{', '.join(catalog.classes)}, or - to leave the image out"
            )
        filed = catalog.classes[catalog.labels[position]]
        if was and was[0] not in ("", filed):
            raise DataError(
                f"{where}: was is {was[0]!r}, but the folder of {image!r} says "
                f"{filed!r}; the file is of other data, or correct the row"
            )
        named[position], lines[position] = label, line
    return named


def _class_of(path: str) -> str:
    parts = [part for part in path.replace("\\", "/").split("/") if part != "."]
    return parts[0] if parts else ""
