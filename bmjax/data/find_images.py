"""The images of any folder, in class folders or not, or of a prepared set."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.decode import read_bytes
from bmjax.data.images.folder import SUFFIXES
from bmjax.data.open_images import read_catalog
from bmjax.data.prepared.read import is_prepared
from bmjax.errors import ConfigError, DataError


class Images(NamedTuple):
    """Images in one order.

    Attributes:
        paths: of each image, "/" between the parts, relative to the folder.
        encoded: position -> the file as it is, uint8 [bytes]; raises DataError.
        label: position -> the name of the image's class, or "".
    """

    paths: Sequence[str]
    encoded: Callable[[int], np.ndarray]
    label: Callable[[int], str]


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
        catalog = read_catalog(folder)
        return Images(
            catalog.paths,
            catalog.encoded,
            lambda position: catalog.classes[catalog.labels[position]],
        )
    paths = find_images(folder)
    return Images(
        paths,
        lambda position: read_bytes(folder / paths[position]),
        lambda position: label_of(paths[position], folder, classes),
    )


def find_images(folder: Path) -> list[str]:
    """All JPEG and PNG files below a folder, sorted, hidden ones left out.

    Raises:
        ConfigError: no such folder.
        DataError: no image in it, or a folder that cannot be read.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ConfigError(f"{str(folder)!r} {what}; give a folder of images")

    def refuse(error: OSError):
        raise DataError(
            f"{str(error.filename)!r} cannot be read: {error.strerror}; mend its "
            "permissions"
        )

    found = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(place, folder).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        found += [
            prefix + name
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise DataError(f"no JPEG or PNG image lies below {str(folder)!r}")
    return sorted(found)


def label_of(path: str, folder: Path, classes: Sequence[str]) -> str:
    """The nearest folder around an image that has a class's name, or ""."""
    around = [folder.resolve().name, *path.split("/")[:-1]]
    return next((name for name in reversed(around) if name in classes), "")
