"""A folder of class folders as a catalog: sorted, labeled, fingerprinted."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog, fingerprint
from bmjax.data.images.class_folders import (
    Layout,
    find_layout,
    find_parts,
    find_twins,
    shown_apart,
)
from bmjax.data.images.listing import SUFFIXES as SUFFIXES
from bmjax.data.images.listing import Listing, first_named, list_images
from bmjax.errors import DataError

TCIA = (
    "the TCIA collection Bone-Marrow-Cytomorphology_MLL_Helmholtz_Fraunhofer "
    "(doi 10.7937/TCIA.AXH3-T579)"
)


def read_folder(root: str | os.PathLike, *, exclude: Sequence[str] = ()) -> Catalog:
    """Read `root/[one folder/]CLASS/**/image`, as `listing.list_images` lists them.

    `Catalog.notes` says what was passed over and may be missed.

    Args:
        root: the folder.
        exclude: class folders to leave out.

    Raises:
        DataError: no such folder, one that cannot be read, no images in it, nothing to
            exclude by a name, or class folders that cannot be classes: parts of a data
            set (train, test), names that differ in case or spaces alone, or a folder
            whose images are all of a format that is not read.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(
            f"config.data.root = {str(root)!r} {what}; give the folder that holds one "
            f"folder of images for each class, such as {TCIA}"
        )
    try:
        listing = list_images(root)
    except OSError as error:
        raise _unreadable(root, error.strerror or "") from None
    layout = find_layout(listing)
    level = root / layout.inside if layout.inside else root
    classes = kept_classes(layout.classes, exclude, root=level)
    layout = layout._replace(classes=tuple(classes))
    _check_classes(listing, layout, level)
    kept = set(classes)
    rows = [
        (label, layout.below(path), size)
        for path, size in listing.images
        if (label := layout.label(path)) in kept
    ]
    if not rows:
        raise DataError(
            f"no JPEG or PNG image lies in a class folder of {str(level)!r}; expected "
            "CLASS/**/image, as for example BLA/0001-1000/BLA_00001.jpg"
        )
    rows.sort()
    numbers = {name: number for number, name in enumerate(sorted({r[0] for r in rows}))}
    paths = tuple(path for _, path, _ in rows)
    return Catalog(
        root=level,
        paths=paths,
        labels=np.array([numbers[label] for label, _, _ in rows], np.int32),
        classes=tuple(numbers),
        fingerprint=fingerprint(paths, (size for _, _, size in rows)),
        notes=tuple(_notes(listing, layout, set(exclude))),
        sizes=np.array([size for _, _, size in rows]),
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


def _check_classes(listing: Listing, layout: Layout, level: Path) -> None:
    """Raise DataError where class folders cannot be classes."""
    for entry in listing.passed_over:
        if entry.kind == "unreadable" and _is_kept(entry.path, layout):
            raise _unreadable(listing.root / entry.path, entry.detail)
    if parts := find_parts(listing, layout):
        main = next((name for name in parts if name.lower()[:5] == "train"), parts[0])
        raise DataError(
            f"the folders {', '.join(map(repr, parts))} in {str(level)!r} are parts of "
            "a data set, not classes; give one of them as the root, such as "
            f"{str(level / main)!r}, or put the images of both into one folder for "
            "each class and name their parts in a CSV of path,part "
            "(--config.data.split=FILE.csv)"
        )
    for twins in find_twins(layout.classes):
        raise DataError(
            f"the class folders {shown_apart(twins)} in {str(level)!r} have one name "
            "but for letter case, spaces or Unicode form; put their images into one "
            "folder, rename one, or leave one out with config.data.exclude"
        )
    read = {layout.label(path) for path, _ in listing.images}
    unread = Counter(
        layout.label(entry.path)
        for entry in listing.passed_over
        if entry.kind == "other_format"
    )
    if lost := [name for name in layout.classes if name not in read and unread[name]]:
        count = sum(unread[name] for name in lost)
        raise DataError(
            f"the class folder(s) {first_named(lost)} in {str(level)!r} hold {count:,} "
            "images, none of them a JPEG or PNG, which alone are read; convert them to "
            "PNG, or leave the class out with config.data.exclude"
        )


def _is_kept(path: str, layout: Layout) -> bool:
    """Whether a path lies in a class that is kept, or in none."""
    below = layout.below(path)
    name = (below or "").partition("/")[0]
    return below is None or name in layout.classes


def _notes(listing: Listing, layout: Layout, excluded: set[str]) -> list[str]:
    """What was passed over and may be missed, excluded classes apart."""
    passed_over = [
        e for e in listing.passed_over if layout.label(e.path) not in excluded
    ]
    notes = Listing(listing.root, passed_over=passed_over).notes()
    filled = {layout.label(path) for path, _ in listing.images}
    outside = [path for path, _ in listing.images if layout.label(path) is None]
    if outside:
        notes.append(
            f"{len(outside):,} image(s) lie outside of the class folders and are "
            f"passed over: {first_named(outside)}"
        )
    if empty := [name for name in layout.classes if name not in filled]:
        notes.append(
            f"{len(empty):,} class folder(s) hold no image and are no classes: "
            f"{first_named(empty)}"
        )
    if layout.beside:
        notes.append(
            f"the class folders are taken from {layout.inside!r}; beside it, without "
            f"images: {first_named(list(layout.beside))}"
        )
    return notes


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{str(path)!r} cannot be read: {why}; mend its permissions or give another "
        "config.data.root"
    )
