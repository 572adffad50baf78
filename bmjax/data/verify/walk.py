"""Everything below a folder, without leaving it: images by class, and what is not."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bmjax.data.images.folder import SUFFIXES, class_level
from bmjax.data.verify.kinds import Finding

# Images by their suffix that training does not read.
_OTHER_FORMATS = (
    ".avif", ".bmp", ".czi", ".dcm", ".gif", ".heic", ".jp2", ".ndpi", ".svs", ".tif",
    ".tiff", ".webp",
)  # fmt: skip


class Image(NamedTuple):
    """An image file: its path below the root, its class folder, its size in bytes."""

    path: str
    label: str
    size: int


@dataclass
class Tree:
    """What lies below a root.

    Attributes:
        images: by path, those that training would read.
        classes: names of the class folders, sorted, also those without images.
        inside: folder that holds the class folders, below the root; "" is the root.
        files: how many files there are, of whatever kind.
        findings: about names and places.
    """

    images: list[Image] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    inside: str = ""
    files: int = 0
    findings: list[Finding] = field(default_factory=list)


def walk(root: Path) -> Tree:
    """List everything below `root`; nothing is opened and no link to a folder followed.

    Class folders are found as `folder.read_folder` finds them.
    """
    tree = Tree()
    level = class_level(root)
    if level != root and not level.is_symlink():
        tree.inside = level.name
    end = root.resolve()
    waiting = [("", None)]  # folder below the root, class
    while waiting:
        folder, label = waiting.pop()
        for entry in _entries(root, folder, tree):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not safe_name(entry.name):
                tree.findings.append(Finding("hostile_name", path))
            if entry.name.startswith("."):
                tree.files += not entry.is_dir(follow_symlinks=False)
                tree.findings.append(Finding("hidden", path))
            elif entry.is_symlink() and not _stays_within(entry, path, end, tree):
                tree.files += 1
            elif entry.is_dir(follow_symlinks=False):
                below = label
                if folder == tree.inside:
                    below = entry.name
                    tree.classes.append(below)
                waiting.append((path, below))
            else:
                tree.files += 1
                _sort_out(entry, path, label, tree)
    tree.images.sort()
    tree.classes.sort()
    return tree


def safe_name(name: str) -> bool:
    """Whether a name means nothing to a terminal, a table or a web page."""
    return name.isprintable() and not set(name) & set("<>&\"'`\\")


def _entries(root: Path, folder: str, tree: Tree) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(root / folder) as entries:
            yield from entries
    except OSError as error:
        tree.findings.append(Finding("unreadable", folder, error.strerror or ""))


def _stays_within(entry: os.DirEntry, path: str, end: Path, tree: Tree) -> bool:
    """Whether a link leads to a file below the root; else, why not is noted."""
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):  # nothing there, or round in a circle
        tree.findings.append(Finding("broken_link", path))
        return False
    if not target.is_relative_to(end):
        tree.findings.append(Finding("link_out", path))
        return False
    if target.is_dir():
        tree.findings.append(Finding("linked_folder", path))
        return False
    return True


def _sort_out(entry: os.DirEntry, path: str, label: str | None, tree: Tree) -> None:
    """Where a file belongs."""
    suffix = os.path.splitext(entry.name)[1].lower()
    try:
        status = entry.stat()
    except OSError as error:
        tree.findings.append(Finding("unreadable", path, error.strerror or ""))
        return
    if not stat.S_ISREG(status.st_mode):
        tree.findings.append(Finding("not_a_file", path))
    elif suffix in _OTHER_FORMATS:
        tree.findings.append(Finding("other_format", path))
    elif suffix not in SUFFIXES:
        tree.findings.append(Finding("stray", path))
    elif label is None:
        tree.findings.append(Finding("outside_classes", path))
    else:
        tree.images.append(Image(path, label, status.st_size))
