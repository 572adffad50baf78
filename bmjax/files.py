"""Files that are there whole or not at all, whenever the process is killed."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from bmjax.errors import ConfigError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one
# EFBIG: a limit on the size of a file (ulimit -f), or the file system's own.
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CannotWrite(ConfigError, OSError):
    """A file that the disk or its permissions refuse, in a sentence for the user.

    It is an OSError too, with its number, for whoever names the place better.
    """

    def __init__(self, message: str, error: OSError, path: Path):
        super().__init__(message)
        self.errno, self.strerror = error.errno, error.strerror
        self.filename = str(path)

    def __str__(self) -> str:
        """The sentence, where an OSError would give its number."""
        return self.args[0]


@contextlib.contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Turn an OSError at a write into one sentence: THE place where this happens.

    Args:
        option: what the user gave the file's place by, such as "--out"; "" where the
            file has its place from us.
        path: the file.

    Raises:
        CannotWrite: the disk is full, or the place may not be written.
    """
    try:
        yield
    except OSError as error:
        place = f"{option}={str(path)!r}" if option else repr(str(path))
        raise CannotWrite(
            f"{place} cannot be written: {describe_os_error(error)}; make room, or "
            "give another place",
            error,
            path,
        ) from None


def describe_os_error(error: OSError) -> str:
    """The system's reason, without number and path: "No space left on device"."""
    return error.strerror or str(error) or type(error).__name__


def no_space(error: BaseException) -> bool:
    """Whether an error says that a disk, or a user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in _NO_SPACE


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_space(folder: Path) -> int:
    """Bytes that may still be written where a folder is, or will be made."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def check_place(option: str, path: Path) -> None:
    """Raise ConfigError where a file cannot be made, before any work is done for it."""
    if path.is_dir():
        raise ConfigError(f"{option}={str(path)!r} is a folder; give a file's name")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{option}={str(path)!r} is in no folder that exists; make it"
        )


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, wait for the disk, and move it there.

    Text is UTF-8; a file name that is not, as Python holds it, goes back to its bytes.

    Raises:
        CannotWrite: the disk is full, or the place may not be written.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", errors="surrogateescape")
    with whole_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def whole_file(path: Path, *, option: str = "") -> Iterator[BinaryIO]:
    """A file to write piece by piece, which has its name once it is on the disk.

    Where the block raises, nothing is left.

    Raises:
        CannotWrite: the disk is full, or the place may not be written; `option` is
            what the user gave the place by.
    """
    part = path.with_name(path.name + ".part")
    try:
        with writing(option, path):
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_cache_note(note: Path, names: Iterable[str], **about: Any) -> None:
    """Say beside files what they are and, by their digests, that they are whole.

    Args:
        note: the file to write, last of all.
        names: of the files, in the same folder.
        about: what they are, as JSON takes it.
    """
    files = {name: file_sha256(note.parent / name) for name in names}
    write_json(note, {**about, "files": files})


def read_cache_note(note: Path) -> dict[str, Any] | None:
    """What `write_cache_note` wrote; None: it, or a file of it, is gone or damaged."""
    try:
        content = json.loads(note.read_text())
        for name, digest in content["files"].items():
            if file_sha256(note.parent / name) != digest:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return content


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV file whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_whole(path, text.getvalue())


@contextlib.contextmanager
def whole_csv(path: Path, *, option: str = "") -> Iterator[Any]:
    """A CSV writer whose rows go to the disk at once, and to their name at the end.

    Raises:
        CannotWrite: as `whole_file`.
    """
    with whole_file(path, option=option) as file:
        text = io.TextIOWrapper(
            file, newline="", encoding="utf-8", errors="surrogateescape"
        )
        yield csv.writer(text, lineterminator="\n")
        text.detach()  # flushed; the file is closed by its own `with`


def plain_cell(name: str) -> str:
    """A path or name that no spreadsheet takes for a formula.

    One that begins like a formula gets "./" before it, which names the same file;
    `without_dot` takes it off again. Any other is left as it is.
    """
    return f"./{name}" if name.startswith(_FORMULA) else name


def without_dot(cell: str) -> str:
    """The name that `plain_cell` was given."""
    return cell[2:] if cell.startswith(tuple(f"./{c}" for c in _FORMULA)) else cell
