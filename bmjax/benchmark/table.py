"""A table of a benchmark's figures, for people."""

from typing import Any

from bmjax.benchmark.records import FIGURES, Figure
from bmjax.console.text_table import aligned
from bmjax.run.logs import data_size, short_duration

_Row = tuple[str, str, str]  # label, value, spread or size
_SPREAD = "_spread"


def table(figures: dict[str, Any]) -> str:
    """Lay figures out for reading: by group, with units, and the spread of the turns.

    Figures that this file does not know stand at the end as they are.
    """
    left, groups = dict(figures), {}
    for title, group in FIGURES.items():
        rows = []
        for figure in group:
            if figure.key in left:
                value = left.pop(figure.key)
                spread = left.pop(figure.key + _SPREAD, None)
                rows += _rows(figure, value, spread)
        if rows:
            groups[title] = rows
    if left:
        groups["Other"] = [(key, str(value), "") for key, value in left.items()]
    lines = iter(
        aligned([row for rows in groups.values() for row in rows], left=(0, 2))
    )
    return "\n\n".join(
        "\n".join([title, *(f"  {next(lines)}" for _ in rows)])
        for title, rows in groups.items()
    )


def _rows(figure: Figure, value: Any, spread: float | None) -> list[_Row]:
    if figure.key == "collectives":
        return [
            (kind, f"{each['count']:,}", data_size(each["bytes"]))
            for kind, each in value.items()
        ] or [(figure.label, "none", "")]
    shown = "" if spread is None else f"spread {spread:.2f}"
    return [(figure.label, _shown(figure, value), shown)]


def _shown(figure: Figure, value: Any) -> str:
    match figure.unit:
        case "bytes":
            return data_size(value)
        case "flop" | "flop/s":
            return _scaled(value) + figure.unit.replace("flop", "FLOP")
        case "ratio":
            return f"{value:.3f}"
        case "s":
            return short_duration(value) if value >= 60 else f"{value:.3g} s"
        case "images/s" | "us" | "MB" | "GFLOP/s":
            return f"{_three(value)} {figure.unit}"
    if figure.key == "views":
        return " + ".join(f"{count} x {side}" for count, side in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _three(value: int | float) -> str:
    """Three digits at least, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _scaled(value: int | float) -> str:
    """Three digits and a prefix: 12.5 T."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g} "
