"""Rows of text as a table, for a terminal or in Markdown: strings in, lines out."""

from collections.abc import Collection, Sequence


def aligned(
    rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,), gap: str = "  "
) -> list[str]:
    """Lines whose cells stand below each other, without spaces at their ends.

    Args:
        rows: cells, as many in each row.
        left: columns that begin at the left; all others end at the right.
        gap: between two columns.
    """
    widths = column_widths(rows)
    return [gap.join(_padded(row, widths, left)).rstrip() for row in rows]


def markdown(
    rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)
) -> list[str]:
    """Lines of a Markdown table, the first row being its head."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, width) for width in column_widths(escaped)]
    rule = [
        "-" * width if place in left else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    lines = [_padded(row, widths, left) for row in escaped]
    return [f"| {' | '.join(cells)} |" for cells in (lines[0], rule, *lines[1:])]


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Characters that the widest cell of each column has."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _padded(
    row: Sequence[str], widths: Sequence[int], left: Collection[int]
) -> list[str]:
    return [
        cell.ljust(width) if place in left else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
