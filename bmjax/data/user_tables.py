"""Tables that users bring, as CSV: read wherever the meaning is plain.

Spreadsheets write the same table in many ways: with a mark before the text, in UTF-16,
with semicolons or tabs, with rows and columns that are blank, and paths as the other
system spells them. All these are read; a table that is wrong somewhere is refused as a
whole, with the line.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bmjax.errors import DataError
from bmjax.files import open_regular, user_path, without_dot

SEPARATORS = (",", ";", "\t")
_MOST_BYTES = 2**30  # of a table that are read; ours
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
# The longer first: the mark of UTF-16 begins that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_NO_TEXT = re.compile("[\ud800-\udfff]")  # bytes of a name that are not UTF-8


class UserTable(NamedTuple):
    """A table as its user meant it.

    Attributes:
        header: names of the columns; those that were asked for are spelled as they were
            asked for.
        rows: cells as they stand, as many in each row as there are columns.
        lines: of each row, in the file.
        separator: between the cells; where it is no comma, a comma may be a decimal
            point.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str


def read_user_table(
    path: Path, columns: Sequence[str], *, any_of: Sequence[str] = ()
) -> UserTable:
    """Read a table whose first line must name `columns`, and may name others.

    The separator is the one by which the first line names them. Blank rows and columns
    without name and content are passed over.

    Args:
        path: the file.
        columns: that must be there; their names may differ in case.
        any_of: further columns, one of which must be there.

    Raises:
        DataError: the file cannot be read or is no CSV; a column is missing or named
            twice; a row is too short or too long.
    """
    wanted = ", ".join([*columns, *([" or ".join(any_of)] if any_of else [])])
    text = _text(path, wanted)
    separator, start = _separator(path, text, columns, any_of, wanted)
    reader = csv.reader(
        io.StringIO("".join(text[start:]), newline=""), delimiter=separator, strict=True
    )
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num + start)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num + start}: not a CSV table ({error}); write "
            "it anew"
        ) from error
    header = _spelled(rows[0], [*columns, *any_of])
    rows, lines = rows[1:], lines[1:]
    while (
        header and not header[-1].strip() and not any(map(any, _beyond(rows, header)))
    ):
        header.pop()
    twice = sorted({name for name in header if name.strip() and header.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} has two columns named {', '.join(twice)}; keep one of each"
        )
    for row, line in zip(rows, lines, strict=True):
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(row)} values for {len(header)} columns; "
                "write the row whole"
            )
    return UserTable(header, rows, lines, separator)


def _beyond(rows: list[list[str]], header: list[str]) -> Iterable[list[str]]:
    """Cells in the last column and after it, without spaces."""
    return ([cell.strip() for cell in row[len(header) - 1 :]] for row in rows)


def _text(path: Path, wanted: str) -> list[str]:
    """The lines of a file, with their ends; names need not be valid UTF-8."""
    try:
        with open_regular(user_path("the table", path), most=_MOST_BYTES) as file:
            content = file.read()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); give a CSV table with the "
            f"columns {wanted}"
        ) from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    if not encoding and content[1:2] == b"\0":
        encoding = "utf-16-le"  # a header is ASCII: its second byte is zero
    elif not encoding and content[:1] == b"\0":
        encoding = "utf-16-be"
    errors = "strict" if "16" in encoding or "32" in encoding else "surrogateescape"
    try:
        text = content.decode(encoding or "utf-8", errors=errors)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} begins as {encoding} and cannot be read as such ({error.reason}); "
            "save it as CSV in UTF-8"
        ) from None
    if "\0" in text:
        raise DataError(
            f"{path} holds bytes that are no text; save it as CSV in UTF-8, with the "
            f"columns {wanted}"
        )
    return io.StringIO(text, newline="").readlines()


def _separator(
    path: Path,
    text: list[str],
    columns: Sequence[str],
    any_of: Sequence[str],
    wanted: str,
) -> tuple[str, int]:
    """The separator by which the header names the columns, and the header's line."""
    start = next((n for n, line in enumerate(text) if line.strip(" ,;\t\r\n")), 0)
    first = text[start] if text else ""
    told = first.strip().strip('"').casefold()
    if told.startswith("sep=") and len(text) > start + 1:  # Excel's own way to say it
        start, first = start + 1, text[start + 1]

    def missing(names: list[str]) -> list[str]:
        lacking = [name for name in columns if name not in names]
        if any_of and not any(name in names for name in any_of):
            lacking.append(" or ".join(any_of))
        return lacking

    lacking = {}
    for separator in SEPARATORS:
        try:
            cells = next(csv.reader([first], delimiter=separator), [])
        except csv.Error:
            continue
        names = _spelled(cells, [*columns, *any_of])
        lacking[separator] = missing(names)
        if not lacking[separator]:
            return separator, start
    fewest = min(lacking.values(), key=len, default=list(columns))
    raise DataError(
        f"{path} has no column {', '.join(fewest)}; its first line should be "
        f"{wanted}, separated by {' or '.join(_NAMES.values())}, and is "
        f"{first.strip()[:80]!r}"
    )


def _spelled(names: list[str], wanted: Sequence[str]) -> list[str]:
    """Give the columns that are wanted their names where case or spaces differ."""
    other = {name.casefold(): name for name in wanted if name not in names}
    return [other.get(name.strip().casefold(), name.lstrip(" ")) for name in names]


def image_key(path: str) -> str:
    r"""What all spellings of a path have in common.

    "./", "\" for "/", spaces around it and the normal form of Unicode make no
    difference, nor does the mark that a browser writes for a byte that is no text; the
    case does.
    """
    plain = unicodedata.normalize("NFC", path.strip()).replace("\\", "/")
    plain = _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", plain)
    return "/".join(part for part in plain.split("/") if part not in ("", "."))


def pair_images(given: Sequence[str], known: Sequence[str]) -> list[str | None]:
    """The known path that each given one names; None where none does.

    A path that is known as it stands is itself. Otherwise spellings that `image_key`
    makes equal name the same image, unless two known paths are equal by it; and where
    this pairs not one image, a folder that all paths of one side begin with, and the
    other side's do not, is left out: absolute paths, or a folder around the classes.

    Args:
        given: paths as a user's table has them.
        known: paths as the catalog, or another table, has them.
    """
    itself = set(known)
    by_key = _unique({path: image_key(path) for path in known})

    def look_up(path: str, key: str) -> str | None:
        for name in (path, without_dot(path)):
            if name in itself:
                return name
        return by_key.get(key)

    keys = [image_key(path) for path in given]
    paired = [look_up(path, key) for path, key in zip(given, keys, strict=True)]
    if any(name is not None for name in paired):
        return paired
    if folder := _folder_before(keys, by_key):
        return [by_key.get(key.removeprefix(folder)) for key in keys]
    by_given = dict.fromkeys(keys)
    if folder := _folder_before(list(by_key), by_given):
        short = _unique({n: k.removeprefix(folder) for k, n in by_key.items()})
        return [short.get(key) for key in keys]
    return paired


def _unique(keys: dict[str, str]) -> dict[str, str]:
    """Path by key, without those keys that several paths have."""
    paths, several = {}, set()
    for path, key in keys.items():
        if key in paths:
            several.add(key)
        paths[key] = path
    return {key: path for key, path in paths.items() if key not in several}


def _folder_before(keys: Sequence[str], known: Iterable[str]) -> str:
    """The folder, "/" behind it, before every key that leaves a known one; "" if none.

    A bare file name is no path to go by: a class's folder has to be in it.
    """
    known = set(known)
    for key in keys:
        parts = key.split("/")
        for start in range(1, len(parts) - 1):
            if "/".join(parts[start:]) in known:
                folder = "/".join(parts[:start]) + "/"
                if all(other.startswith(folder) for other in keys):
                    return folder
    return ""
