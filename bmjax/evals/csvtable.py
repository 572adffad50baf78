"""CSV tables, read strictly: a table that is wrong somewhere is refused as a whole."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from bmjax.errors import DataError


def read_table(
    path: Path, columns: Sequence[str]
) -> tuple[list[str], list[list[str]], list[int]]:
    """Read a table whose first line must name `columns`, and may name others.

    Returns:
        the header, the rows, and the line of each row in the file.

    Raises:
        DataError: the file cannot be read or is no CSV; a column is missing or named
            twice; a row is too short or too long.
    """
    try:
        # A file name need not be valid UTF-8; Excel puts a mark before the text.
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); give a CSV table with the "
            f"columns {', '.join(columns)}"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        header = next(reader, [])
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not a CSV table ({error}); write it anew"
        ) from error
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; its first line must name "
            f"{', '.join(columns)}, separated by commas"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(
            f"{path} has two columns named {', '.join(twice)}; keep one of each"
        )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(row)} values for {len(header)} columns; "
                "write the row whole"
            )
    return header, rows, lines
