"""The images of any folder, in class folders or not, or of a prepared set."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.decode import read_bytes
from bmjax.data.images.listing import Listing, list_images
from bmjax.data.open_images import read_catalog
from bmjax.data.prepared.read import is_prepared
from bmjax.errors import ConfigError, DataError


class Images(NamedTuple):
    """Images in one order.

    Attributes:
        paths: of each image, "/" between the parts, relative to the folder.
        encoded: position -> the file as it is, uint8 [bytes]; raises DataError.
        label: position -> the name of the image's class, or "".
        notes: what was passed over, a sentence each.
        other_formats: how many images were passed over for their format.
    """

    paths: Sequence[str]
    encoded: Callable[[int], np.ndarray]
    label: Callable[[int], str]
    notes: tuple[str, ...] = ()
    other_formats: int = 0


def open_any_images(folder: Path, classes: Sequence[str]) -> Images:
    """Find the images of a folder or of a prepared set.

    Args:
        folder: holds them.
        classes: names that make a folder around an image its label. The images of a
            prepared set have the set's own labels.

    Raises:
        ConfigError: no such folder.
        DataError: no image in it, or a folder or a set that cannot be read.
    """
    if is_prepared(folder):
        catalog = read_catalog(folder, say=lambda note: None)
        return Images(
            catalog.paths,
            catalog.encoded,
            lambda position: catalog.classes[catalog.labels[position]],
            notes=catalog.notes,
        )
    listing = _list(folder)
    paths = [image.path for image in listing.images]
    return Images(
        paths,
        lambda position: read_bytes(folder / paths[position]),
        lambda position: label_of(paths[position], folder, classes),
        notes=tuple(listing.notes()),
        other_formats=listing.counts()["other_format"],
    )


def find_images(folder: Path) -> list[str]:
    """Return the paths of all JPEG and PNG files below a folder, sorted.

    Raises:
        ConfigError: no such folder.
        DataError: no image in it, or a folder that cannot be read.
    """
    return [image.path for image in _list(folder).images]


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
