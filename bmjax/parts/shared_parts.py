"""Work in parts that outlives a kill, and that several commands share out.

A part is a file and a note beside it, which is written last. Whoever starts the same
command, after a kill or on another machine that sees the folder, makes the parts that
nobody has made and nobody is making.
"""

import contextlib
import hashlib
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.errors import ConfigError
from bmjax.files import read_json_object, write_json, writing
from bmjax.parts.claims import SILENT, held, take

PART_IMAGES = 16_384  # images, minutes of a device's work at most; ours
_ABOUT = "about.json"
_JOIN = "join"  # the claim of the command that joins the parts
_WAIT = 1.0  # seconds between two looks at what others make; ours


class WorkPart(NamedTuple):
    """Some of the images, and where what was made of them is kept."""

    start: int
    stop: int
    path: Path


def split_work(folder: Path, total: int, size: int, ending: str) -> list[WorkPart]:
    """Parts of `size` images, the last one smaller."""
    return [
        WorkPart(start, min(start + size, total), folder / f"{start:012d}{ending}")
        for start in range(0, total, size)
    ]


def paths_digest(paths: Sequence[str]) -> str:
    """SHA-256 of the images' paths in their order."""
    hashed = hashlib.sha256()
    for path in paths:
        hashed.update(path.encode("utf-8", errors="surrogateescape") + b"\0")
    return hashed.hexdigest()


@contextlib.contextmanager
def made_parts(
    parts: Sequence[WorkPart],
    about: dict[str, Any],
    make: Callable[[WorkPart], dict[str, Any]],
    *,
    out: Path,
    what: str,
    known: Callable[[WorkPart], None] = lambda part: None,
    silent: float = SILENT,
) -> Iterator[list[dict[str, Any]] | None]:
    """Make all parts, and remove them once what the `with` makes of them is there.

    Args:
        parts: of `split_work`, in one folder.
        about: what the work is; a folder with another is not touched.
        make: writes a part's file, whole, and returns its note.
        out: the file that they become, for errors.
        what: "other images, run or batch size", for errors.
        known: called with each part that was made before or by others.
        silent: seconds without a sign of life until a command counts as gone.

    Yields:
        the notes, in the order of the parts; None where another command has joined
            them.

    Raises:
        ConfigError: the folder cannot be written, or holds other work.
    """
    folder = parts[0].path.parent
    _open(folder, about, out, what)
    notes = _make_all(folder, parts, make, known, silent)
    claim = None
    while notes is not None and claim is None:
        claim = _claim(folder, _JOIN, silent)
        if claim is None:
            time.sleep(_WAIT)
        notes = notes if _is_open(folder) else None
    if notes is None or claim is None:
        yield None
        return
    with held(claim, lambda: None):
        yield notes
        # Under another name, no other command takes it for work that is left.
        done = folder.with_name(f"{folder.name}.joined")
        shutil.rmtree(done, ignore_errors=True)
        folder.rename(done)
    shutil.rmtree(done)


def _make_all(
    folder: Path,
    parts: Sequence[WorkPart],
    make: Callable[[WorkPart], dict[str, Any]],
    known: Callable[[WorkPart], None],
    silent: float,
) -> list[dict[str, Any]] | None:
    """The notes of all parts; None where the folder was joined meanwhile."""
    notes: dict[int, dict[str, Any]] = {}
    while len(notes) < len(parts):
        before = len(notes)
        for number, part in enumerate(parts):
            if number in notes:
                continue
            if note := _read_note(part):
                notes[number] = note
                known(part)
                continue
            claim = _claim(folder, part.path.stem, silent)
            if not _is_open(folder):
                return None
            if claim is None:
                continue
            with held(claim, lambda: None):
                note = _read_note(part)  # perhaps made a moment ago
                if note is None and not _is_open(folder):  # and joined with it
                    return None
                if note is None:
                    note = make(part)
                    write_json(part.path.with_suffix(".json"), note)
            notes[number] = note
        if len(notes) == before:
            time.sleep(_WAIT)
    return [notes[number] for number in range(len(parts))]


def _claim(folder: Path, name: str, silent: float):
    """A claim in an open folder; None: another command holds it, or it was joined."""
    if not _is_open(folder):
        return None
    try:
        claim = take(folder, name, silent=silent, alone=True)
    except FileNotFoundError:
        if _is_open(folder):
            raise
        return None  # joined and removed meanwhile
    if not _is_open(folder):  # joined meanwhile, and made anew by the claim
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return claim


def _open(folder: Path, about: dict[str, Any], out: Path, what: str) -> None:
    """Make the folder, or check that it is of the same work."""
    try:
        kept = read_json_object(folder / _ABOUT)
    except (OSError, ValueError):
        kept = None
    if kept is None:
        with writing("--out", out):
            folder.mkdir(exist_ok=True)
            # Of its own name first: others may write it at the same moment.
            written = folder / f"{_ABOUT}.{uuid.uuid4().hex}"
            write_json(written, about)
            written.replace(folder / _ABOUT)
    elif kept != about:
        raise ConfigError(
            f"{str(folder)!r} holds parts of another command ({what}); remove it, or "
            "give that command again"
        )


def _is_open(folder: Path) -> bool:
    return (folder / _ABOUT).exists()


def _read_note(part: WorkPart) -> dict[str, Any] | None:
    """The note of a part that is there; None where it is not, or not whole."""
    try:
        note = read_json_object(part.path.with_suffix(".json"))
    except (OSError, ValueError):
        return None
    return note if part.path.exists() else None
