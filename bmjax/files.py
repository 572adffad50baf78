"""Files that are there whole or not at all, whenever the process is killed."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from bmjax.errors import ConfigError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one
_MOST_JSON = 2**26  # bytes of a run's small files: a thousand times the usual; ours
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


def user_path(option: str, path: str | os.PathLike) -> Path:
    """A path as a user wrote it, with the home folder in the place of its `~`.

    Args:
        option: what the user gave it by, such as "--run" or "config.data.root".
        path: need not exist.

    Raises:
        ConfigError: there is no such home folder, or the system refuses to look for
            the path, such as one that is too long or below a closed folder.
    """
    try:
        found = Path(path).expanduser()
        os.stat(found)
    except RuntimeError:
        raise ConfigError(
            f"{option}={str(path)!r} begins with a home folder that is not known; give "
            "the whole path"
        ) from None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        pass  # whoever wants it there says so
    except OSError as error:
        raise ConfigError(
            f"{option}={str(path)[:200]!r} cannot be looked at: "
            f"{describe_os_error(error)}; give another path"
        ) from None
    return found


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


def read_json(path: Path, *, most: int = _MOST_JSON) -> Any:
    """Read a JSON file that somebody else may have written.

    Args:
        path: of a file; a pipe is refused, which would be waited for.
        most: bytes that are read.

    Raises:
        OSError: it cannot be read, is no file or is larger.
        ValueError: it holds no JSON, or one that is nested too deep.
    """
    with open_regular(path, most=most) as file:
        text = file.read().decode("utf-8", errors="surrogateescape")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json_object(path: Path, *, most: int = _MOST_JSON) -> dict[str, Any]:
    """Read a JSON file that holds an object; `read_json` has the errors.

    Raises:
        ValueError: it holds something else, too.
    """
    content = read_json(path, most=most)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, expected an object")
    return content


@contextlib.contextmanager
def open_regular(path: Path, *, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a file to be read as a whole.

    Raises:
        OSError: it cannot be opened; it is a pipe, socket or device, whose end might
            never come; or it is larger than `most` bytes.
    """

    def opened(name: str, flags: int) -> int:
        # Without waiting for the other end of a pipe.
        return os.open(name, flags | os.O_NONBLOCK)

    with open(path, "rb", opener=opened) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(
                errno.EINVAL, "it is a pipe, socket or device, no file", str(path)
            )
        if most is not None and status.st_size > most:
            raise OSError(
                errno.EINVAL,  # not EFBIG, which says that a disk is full
                f"it has {status.st_size:,} bytes, and {most:,} are the most that is "
                "read",
                str(path),
            )
        yield file


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
