"""Which images lie below a folder, and what is passed over: one rule for every command.

JPEG and PNG files are taken, by their suffix. Whatever begins with a dot is passed
over, and so is `__MACOSX`, where macOS keeps the hidden files of an archive. A link to
a file or a folder is followed, wherever it leads, unless it leads to nothing or to a
folder around the link, which would go round in a circle. Everything that is passed
over is counted by its kind.
"""

import errno
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".jpg", ".jpeg", ".png")
# Images by their suffix that are not read.
OTHER_FORMATS = (
    ".apng", ".avif", ".bmp", ".czi", ".dcm", ".dib", ".gif", ".heic", ".heif", ".jfif",
    ".jp2", ".jpe", ".jpf", ".jpx", ".jxl", ".lif", ".mrxs", ".nd2", ".ndpi", ".pbm",
    ".pgm", ".pnm", ".ppm", ".psd", ".scn", ".svs", ".tga", ".tif", ".tiff", ".vsi",
    ".webp",
)  # fmt: skip
_HIDDEN_FOLDERS = frozenset(("__MACOSX",))

# Kinds of what is passed over, as `verify` names them too, with their words for a note.
# Hidden entries and files that are no images are counted and not said.
_WORDS = {
    "other_format": "image(s) of a format that is not read (JPEG and PNG are)",
    "broken_link": "link(s) to nothing",
    "link_loop": "link(s) to a folder around them",
    "not_a_file": "pipe(s), socket(s) or device(s)",
    "unreadable": "file(s) or folder(s) that cannot be looked at",
}
_NAMED = 3  # paths that a note names; ours


class ImageFile(NamedTuple):
    """An image file: its path below the root with "/" between the parts, its bytes."""

    path: str
    size: int


class PassedOver(NamedTuple):
    """Something that is not read.

    Attributes:
        kind: "other_format" (an image by its suffix, but no JPEG or PNG), "stray" (no
            image), "hidden", "broken_link", "link_loop" (a link to a folder around
            it), "not_a_file" (a pipe, socket or device) or "unreadable" (a folder that
            cannot be listed, or a file whose size cannot be read).
        path: below the root.
        detail: in words, or "".
    """

    kind: str
    path: str
    detail: str = ""


@dataclass
class Listing:
    """What lies below a folder.

    Attributes:
        root: the folder.
        images: JPEG and PNG files, sorted by path.
        folders: paths below the root of all folders that were listed, sorted.
        passed_over: everything else, sorted by path; a hidden folder is one entry.
        files: how many files there are, of whatever kind; in hidden folders, none.
        links_out: paths of links that were followed and lead out of the root.
        linked_folders: paths of links to folders that were followed within the root.
    """

    root: Path
    images: list[ImageFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    files: int = 0
    links_out: list[str] = field(default_factory=list)
    linked_folders: list[str] = field(default_factory=list)

    def counts(self) -> Counter:
        """How many entries of each kind were passed over."""
        return Counter(entry.kind for entry in self.passed_over)

    def notes(self) -> list[str]:
        """Say what was passed over and may be missed: one sentence for each kind."""
        return passed_over_notes(self.passed_over)


def list_images(root: Path, *, most: int | None = None) -> Listing:
    """List everything below a folder; no file is opened.

    Args:
        root: the folder.
        most: entries that are looked at; None: all.

    Raises:
        OSError: the folder itself cannot be listed, or holds more than `most` entries.
    """
    looked_at = 0
    listing = Listing(root)
    real_root = os.path.realpath(root)
    # Folders to list: path below the root, and the real paths of the folders around it.
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (real_root,))]
    while waiting:
        folder, around = waiting.pop()
        try:
            with os.scandir(root / folder) as scanned:
                entries = list(scanned)
                looked_at += len(entries)
        except OSError as error:
            if not folder:
                raise
            _pass_over(listing, "unreadable", folder, error.strerror or "")
            continue
        if most is not None and looked_at > most:
            raise OSError(errno.EINVAL, f"it holds more than {most:,} entries", root)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                listing.files += not entry.is_dir(follow_symlinks=False)
                _pass_over(listing, "hidden", path)
            elif entry.is_symlink():
                if linked := _followed(entry, path, around, listing):
                    listing.folders.append(path)
                    waiting.append((path, (*around, *linked)))
            elif entry.is_dir(follow_symlinks=False):
                listing.folders.append(path)
                waiting.append((path, around))
            else:
                _take(entry, path, listing)
    for entries in (
        listing.images,
        listing.folders,
        listing.passed_over,
        listing.links_out,
        listing.linked_folders,
    ):
        entries.sort()
    return listing


def is_hidden(name: str) -> bool:
    """Whether an entry of this name is passed over, with all that is below it."""
    return name.startswith(".") or name in _HIDDEN_FOLDERS


def passed_over_notes(passed_over: list[PassedOver]) -> list[str]:
    """Say what was passed over and may be missed: one sentence for each kind."""
    notes = []
    for kind, words in _WORDS.items():
        paths = [entry.path for entry in passed_over if entry.kind == kind]
        if paths:
            notes.append(
                f"{len(paths):,} {words} are passed over: {first_named(paths)}"
            )
    return notes


def first_named(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more


def _followed(
    entry: os.DirEntry, path: str, around: tuple[str, ...], listing: Listing
) -> tuple[str, ...]:
    """Take the file that a link leads to; of a folder, return what is around it now.

    That is the real path of the folder that the link lies in, and of its target.
    """
    try:
        target = os.path.realpath(entry.path, strict=True)
        is_folder = stat.S_ISDIR(os.stat(target).st_mode)
    except OSError as error:  # nothing there, or links that lead to each other
        closed = isinstance(error, PermissionError)
        kind = "unreadable" if closed else "broken_link"
        listing.files += 1
        _pass_over(listing, kind, path, error.strerror or "" if closed else "")
        return ()
    own_folder = os.path.realpath(os.path.dirname(entry.path))
    if is_folder and any(_within(each, target) for each in (*around, own_folder)):
        _pass_over(listing, "link_loop", path)
        return ()
    if not _within(target, around[0]):
        listing.links_out.append(path)
    elif is_folder:
        listing.linked_folders.append(path)
    if is_folder:
        return own_folder, target
    _take(entry, path, listing)
    return ()


def _within(path: str, folder: str) -> bool:
    """Whether a real path is a real folder, or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _take(entry: os.DirEntry, path: str, listing: Listing) -> None:
    """Put a file, or a link to one, where it belongs."""
    listing.files += 1
    suffix = os.path.splitext(entry.name)[1].lower()
    try:
        status = entry.stat()
    except OSError as error:
        _pass_over(listing, "unreadable", path, error.strerror or "")
        return
    if not stat.S_ISREG(status.st_mode):
        _pass_over(listing, "not_a_file", path)
    elif suffix in SUFFIXES:
        listing.images.append(ImageFile(path, status.st_size))
    else:
        kind = "other_format" if suffix in OTHER_FORMATS else "stray"
        _pass_over(listing, kind, path)


def _pass_over(listing: Listing, kind: str, path: str, detail: str = "") -> None:
    listing.passed_over.append(PassedOver(kind, path, detail))
