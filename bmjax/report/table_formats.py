"""Tables as text for a terminal, Markdown and LaTeX: rows of text in, text out."""

from collections.abc import Sequence
from typing import NamedTuple

from bmjax.report.words import NONE


class Table(NamedTuple):
    """A table with a heading in two lines, as the paper's have.

    Attributes:
        caption: one line above it.
        groups: title and width in columns of each group, after the first column; the
            columns that are left have none.
        columns: titles; the first stands above the row names.
        rows: cells, as text.
        rules: positions of rows above which a line is drawn.
    """

    caption: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rules: frozenset[int] = frozenset()


def text_table(table: Table) -> str:
    """Aligned for a terminal: groups, columns, rows; numbers to the right."""
    widths = _widths([table.columns, *table.rows])
    place = 1
    for title, span in table.groups:  # a title wider than its columns widens the last
        wide = sum(widths[place : place + span]) + 2 * (span - 1)
        widths[place + span - 1] += max(0, len(title) - wide)
        place += span
    lines = [table.caption, ""]
    if any(title for title, _ in table.groups):
        cells, place = [" " * widths[0]], 1
        for title, span in table.groups:
            wide = sum(widths[place : place + span]) + 2 * (span - 1)
            cells.append(title.center(wide))
            place += span
        lines.append("  ".join(cells).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    if any(table.columns):
        lines.append(_aligned(table.columns, widths))
    lines.append(rule)
    for number, row in enumerate(table.rows):
        if number in table.rules:
            lines.append(rule)
        lines.append(_aligned(row, widths))
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """A Markdown table with its caption; a group's title stands in each heading."""
    heads = [table.columns[0]]
    place = 1
    for title, span in table.groups:
        for column in table.columns[place : place + span]:
            heads.append(f"{title}: {column}" if title and column else title or column)
        place += span
    heads += table.columns[place:]
    rows = [[_escape_markdown(cell) for cell in row] for row in (heads, *table.rows)]
    widths = _widths(rows)
    dashes = "| " + " | ".join("-" * max(3, width) for width in widths) + " |"
    body = [
        "| "
        + " | ".join(c.ljust(max(3, w)) for c, w in zip(r, widths, strict=True))
        + " |"
        for r in rows
    ]
    return "\n".join([f"**{table.caption}**", "", body[0], dashes, *body[1:]])


def latex_table(table: Table) -> str:
    """A LaTeX table; needs the package booktabs."""
    columns = "l" + "r" * (len(table.columns) - 1)
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escape_latex(table.caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
    ]
    if any(title for title, _ in table.groups):
        cells, rules, place = [""], [], 2
        for title, span in table.groups:
            cells.append(rf"\multicolumn{{{span}}}{{c}}{{{_escape_latex(title)}}}")
            if title:
                rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
            place += span
        lines += [" & ".join(cells) + r" \\", "".join(rules)]
    if any(table.columns):
        lines.append(_latex_row(table.columns))
    lines.append(r"\midrule")
    for number, row in enumerate(table.rows):
        if number in table.rules:
            lines.append(r"\midrule")
        lines.append(_latex_row(row))
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, cells)) for cells in zip(*rows, strict=True)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if number else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escape_latex, cells)) + r" \\"


def _escape_markdown(cell: str) -> str:
    return cell.replace("|", "\\|")


def _escape_latex(cell: str) -> str:
    cell = cell.replace("\\", r"\textbackslash ")
    for sign in "&%$#_{}":
        cell = cell.replace(sign, "\\" + sign)
    return cell.replace("±", r"$\pm$").replace(NONE, "--")
