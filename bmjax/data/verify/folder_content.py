"""What lies below a folder: images by class, and names and places that are wrong."""

from pathlib import Path
from typing import NamedTuple

from bmjax.data.images.class_folders import (
    find_layout,
    find_parts,
    find_twins,
    shown_apart,
)
from bmjax.data.images.listing import list_images
from bmjax.data.verify.kinds import Finding


class LabeledFile(NamedTuple):
    """An image file: its path below the root, its class folder, its size in bytes."""

    path: str
    label: str
    size: int


class FolderContent(NamedTuple):
    """What lies below a root.

    Attributes:
        images: by class and path, those that training reads.
        classes: names of the class folders, sorted, also those without images.
        inside: folder that holds the class folders, below the root; "" is the root.
        files: how many files there are, of whatever kind.
        findings: about names and places.
    """

    images: list[LabeledFile]
    classes: tuple[str, ...]
    inside: str
    files: int
    findings: list[Finding]


def read_content(root: Path) -> FolderContent:
    """List everything below `root` as training lists it; no file is opened.

    Raises:
        OSError: the root cannot be listed.
    """
    listing = list_images(root)
    layout = find_layout(listing)
    findings = [Finding(*entry) for entry in listing.passed_over]
    findings += [Finding("link_out", path) for path in listing.links_out]
    findings += [Finding("linked_folder", path) for path in listing.linked_folders]
    images = []
    for path, size in listing.images:
        label = layout.label(path)
        if label is None:
            findings.append(Finding("outside_classes", path))
        else:
            images.append(LabeledFile(path, label, size))
    paths = [path for path, _ in listing.images]
    paths += [*listing.folders, *(entry.path for entry in listing.passed_over)]
    for path in paths:
        if not safe_name(path.rpartition("/")[2]):
            findings.append(Finding("hostile_name", path))
    prefix = f"{layout.inside}/" if layout.inside else ""
    for name in find_parts(listing, layout):
        findings.append(Finding("part_of_data", prefix + name))
    for twins in find_twins(layout.classes):
        findings.append(Finding("twin_classes", prefix + twins[0], shown_apart(twins)))
    for name in layout.beside:
        detail = f"a folder without images beside {layout.inside!r}"
        findings.append(Finding("stray", name, detail))
    return FolderContent(
        images=sorted(images, key=lambda image: (image.label, image.path)),
        classes=layout.classes,
        inside=layout.inside,
        files=listing.files,
        findings=findings,
    )


def safe_name(name: str) -> bool:
    """Whether a name means nothing to a terminal, a table or a web page."""
    return name.isprintable() and not set(name) & set("<>&\"'`\\")
