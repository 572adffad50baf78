"""Open a data set: a folder of class folders, or a prepared set of them.

Both give the same order, labels, bytes and fingerprint, so that a run may move from one
to the other. `open_any_images` takes a folder without class folders too.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.console.notes import print_note
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import read_bytes
from bmjax.data.images.folder import read_folder
from bmjax.data.images.listing import Listing, list_images
from bmjax.data.label_corrections import correct_labels, describe_corrections
from bmjax.data.prepared.read import is_prepared, read_prepared
from bmjax.data.user_tables import read_user_table
from bmjax.errors import ConfigError, DataError
from bmjax.files import without_dot


def read_catalog(
    root: str | os.PathLike,
    *,
    exclude: Sequence[str] = (),
    labels: str | os.PathLike = "",
    say: Callable[[str], None] = print_note,
) -> Catalog:
    """Read a folder of class folders, or a prepared set.

    Args:
        root: the folder.
        exclude: classes to leave out.
        labels: a file of corrections (`data.label_corrections`); "" for none.
        say: hears what lies in the folder and is passed over, a sentence for each kind.

    Raises:
        DataError: there are no images, nothing to exclude by a name, a part of a
            prepared set is missing or damaged, or the corrections do not fit.
    """
    root = Path(root)
    read = read_prepared if is_prepared(root) else read_folder
    catalog = read(root, exclude=exclude)
    for note in catalog.notes:
        say(note)
    if labels:
        catalog = correct_labels(catalog, labels, exclude=exclude)
        say(f"config.data.labels = {str(labels)!r}: {describe_corrections(catalog)}")
    return catalog


class OpenedImages(NamedTuple):
    """Images in one order.

    Attributes:
        paths: of each image, "/" between the parts, relative to the folder.
        encoded: position -> the file as it is, uint8 [bytes]; raises DataError.
        label: (position, classes) -> the name of the image's class, or "". It is the
            nearest folder around the image that has the name of one of the classes; a
            prepared set has labels of its own.
        notes: what was passed over, a sentence each.
        other_formats: how many images were passed over for their format.
    """

    paths: Sequence[str]
    encoded: Callable[[int], np.ndarray]
    label: Callable[[int, Sequence[str]], str]
    notes: tuple[str, ...] = ()
    other_formats: int = 0

    def between(self, start: int, stop: int) -> "OpenedImages":
        """The images from one position to before another; both count from this."""
        return self._replace(
            paths=self.paths[start:stop],
            encoded=lambda position: self.encoded(start + position),
            label=lambda position, classes: self.label(start + position, classes),
        )


def open_any_images(folder: Path) -> OpenedImages:
    """Find the images of a folder, in class folders or not, or of a prepared set.

    Args:
        folder: holds them.

    Raises:
        ConfigError: no such folder.
        DataError: no image in it, or a folder or a set that cannot be read.
    """
    if is_prepared(folder):
        catalog = read_catalog(folder, say=lambda note: None)
        return OpenedImages(
            catalog.paths,
            catalog.encoded,
            lambda position, classes: catalog.classes[catalog.labels[position]],
            notes=catalog.notes,
        )
    listing = _list(folder)
    paths = [image.path for image in listing.images]
    return OpenedImages(
        paths,
        lambda position: read_bytes(folder / paths[position]),
        lambda position, classes: label_of(paths[position], folder, classes),
        notes=tuple(listing.notes()),
        other_formats=listing.counts()["other_format"],
    )


def open_named_images(source: Path) -> OpenedImages:
    """Find images by a folder, a prepared set, one file, or a CSV of paths.

    Args:
        source: a folder or a set, as `open_any_images` takes it; an image; or a CSV
            with a column path, whose paths start at the CSV's folder.

    Raises:
        ConfigError: there is no such thing.
        DataError: no image in it, or a folder, a set or a table that cannot be read.
    """
    if not source.is_file():
        return open_any_images(source)
    root, paths = source.parent, [source.name]
    if source.suffix.lower() == ".csv":
        table = read_user_table(source, ("path",))
        column = table.header.index("path")
        paths = [without_dot(row[column]).replace("\\", "/") for row in table.rows]
        if not paths:
            raise DataError(f"{str(source)!r} has no rows; it needs one for each image")
    return OpenedImages(
        paths,
        lambda position: read_bytes(root / paths[position]),
        lambda position, classes: label_of(paths[position], root, classes),
    )


def _list(folder: Path) -> Listing:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ConfigError(f"{str(folder)!r} {what}; give a folder of images")
    try:
        listing = list_images(folder)
    except OSError as error:
        raise DataError(
            f"{str(error.filename)!r} cannot be read: {error.strerror}; correct its "
            "permissions"
        ) from None
    for entry in listing.passed_over:
        if entry.kind == "unreadable":
            raise DataError(
                f"{str(folder / entry.path)!r} cannot be read: {entry.detail}; correct "
                "its permissions"
            )
    if not listing.images:
        raise DataError(
            f"no JPEG or PNG image lies below {str(folder)!r}"
            + "".join(f"; {note}" for note in listing.notes())
        )
    return listing


def label_of(path: str, folder: Path, classes: Sequence[str]) -> str:
    """The nearest folder around an image that has a class's name, or ""."""
    around = [folder.resolve().name, *path.split("/")[:-1]]
    return next((name for name in reversed(around) if name in classes), "")
