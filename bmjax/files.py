"""Files that are there whole or not at all, whenever the process is killed."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bmjax.errors import ConfigError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one


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
    """
    if isinstance(content, str):
        content = content.encode("utf-8", errors="surrogateescape")
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a CSV file whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_whole(path, text.getvalue())


@contextlib.contextmanager
def whole_csv(path: Path) -> Iterator[Any]:
    """A CSV writer whose rows go to the disk at once, and to their name at the end.

    Raises:
        ConfigError: the file cannot be written.
    """
    with (
        whole_file(path) as part,
        open(part, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        yield csv.writer(file, lineterminator="\n")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to inside the `with`, which becomes `path` at its end.

    Raises:
        ConfigError: the file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(
            f"--out={str(path)!r} cannot be written: {error.strerror}; give another "
            "place"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def plain_cell(name: str) -> str:
    """A path or name that no spreadsheet takes for a formula.

    One that begins like a formula gets "./" before it, which names the same file;
    `without_dot` takes it off again. Any other is left as it is.
    """
    return f"./{name}" if name.startswith(_FORMULA) else name


def without_dot(cell: str) -> str:
    """The name that `plain_cell` was given."""
    return cell[2:] if cell.startswith(tuple(f"./{c}" for c in _FORMULA)) else cell
