"""A tree of images as a catalog: sorted, labelled by its folders, fingerprinted."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog, fingerprint
from bmjax.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png")
TCIA = (
    "the TCIA collection Bone-Marrow-Cytomorphology_MLL_Helmholtz_Fraunhofer "
    "(doi 10.7937/TCIA.AXH3-T579)"
)
# The release splits large classes into folders like 1001-2000: parts, not classes.
_NUMBER_RANGE = re.compile(r"\d+-\d+")


def read_folder(root: str | os.PathLike, *, exclude: Sequence[str] = ()) -> Catalog:
    """Read `root/[one folder/]CLASS/**/image`; JPEG and PNG, hidden files left out.

    Args:
        root: the folder.
        exclude: class folders to leave out.

    Raises:
        DataError: no such folder, no images in it, or nothing to exclude by a name.
    """
    try:
        return _read_folder(Path(root), exclude)
    except OSError as error:
        raise DataError(
            f"{str(error.filename)!r} cannot be read: {error.strerror}; mend its "
            "permissions or give another config.data.root"
        ) from None


def _read_folder(root: Path, exclude: Sequence[str]) -> Catalog:
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(
            f"config.data.root = {str(root)!r} {what}; give the folder that holds one "
            f"folder of images for each class, such as {TCIA}"
        )
    root = class_level(root)
    classes = kept_classes(_subfolders(root), exclude, root=root)
    found = [(name, *_images(root / name, name)) for name in classes]
    found = [entry for entry in found if entry[1]]
    if not found:
        raise DataError(
            f"no JPEG or PNG image lies in a class folder of {str(root)!r}; expected "
            "CLASS/**/image, as for example BLA/0001-1000/BLA_00001.jpg"
        )
    paths = tuple(path for _, paths, _ in found for path in paths)
    sizes = (size for _, _, sizes in found for size in sizes)
    return Catalog(
        root=root,
        paths=paths,
        labels=np.repeat(
            np.arange(len(found), dtype=np.int32), [len(paths) for _, paths, _ in found]
        ),
        classes=tuple(name for name, _, _ in found),
        fingerprint=fingerprint(paths, sizes),
    )


def kept_classes(
    classes: Iterable[str], exclude: Sequence[str], *, root: Path
) -> list[str]:
    """Sort the names of classes and leave some out.

    Raises:
        DataError: there is no class of an excluded name.
    """
    classes = sorted(classes)
    if unknown := sorted(set(exclude) - set(classes)):
        raise DataError(
            f"config.data.exclude names {', '.join(unknown)}, but {str(root)!r} holds "
            f"the classes {', '.join(classes) or '(none)'}; leave out or mend the name"
        )
    return [name for name in classes if name not in set(exclude)]


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        ]


def class_level(root: Path) -> Path:
    """Where the class folders are: in `root`, or in the one folder that wraps them.

    The release's archive has such a folder.
    """
    folders = _subfolders(root)
    if len(folders) != 1:
        return root
    inner = root / folders[0]
    below = _subfolders(inner)
    wraps = below and not any(_NUMBER_RANGE.fullmatch(name) for name in below)
    return inner if wraps and not _is_image_folder(inner) else root


def _is_image_folder(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_is_image(entry.name) for entry in entries)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _images(folder: Path, prefix: str) -> tuple[list[str], list[int]]:
    """Relative paths and sizes of all images below a class folder, sorted by path."""
    found, waiting = [], [(os.fspath(folder), prefix)]
    while waiting:
        place, name = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                path = f"{name}/{entry.name}"
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, path))
                elif _is_image(entry.name) and entry.is_file():
                    found.append((path, entry.stat().st_size))
    found.sort()
    return [path for path, _ in found], [size for _, size in found]
