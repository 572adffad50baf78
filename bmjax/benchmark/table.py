"""A table of a benchmark's figures, for people."""

from typing import Any

from bmjax.benchmark.records import FIGURES, Figure
from bmjax.run.logs import data_size, short_duration

_SPREAD = "_spread"
_LABEL, _VALUE = 30, 24  # columns


def table(figures: dict[str, Any]) -> str:
    """Lay figures out for reading: by group, with units, and the spread of the turns.

    Figures that this file does not know stand at the end as they are.
    """
    lines, left = [], dict(figures)
    for title, group in FIGURES.items():
        rows = []
        for figure in group:
            if figure.key not in left:
                continue
            value = left.pop(figure.key)
            spread = left.pop(figure.key + _SPREAD, None)
            rows += _rows(figure, value, spread)
        if rows:
            lines += ["", title, *rows]
    if left:
        lines += ["", "Other"]
        lines += [
            f"  {key:{_LABEL}s} {value!s:>{_VALUE}s}" for key, value in left.items()
        ]
    return "\n".join(lines[1:])


def _rows(figure: Figure, value: Any, spread: float | None) -> list[str]:
    if figure.key == "collectives":
        row = f"  {{:{_LABEL}s}} {{:>{_VALUE},d}}   {{}}"
        return [
            row.format(kind, each["count"], data_size(each["bytes"]))
            for kind, each in value.items()
        ] or ["  none"]
    row = f"  {figure.label:{_LABEL}s} {_shown(figure, value):>{_VALUE}s}"
    return [row if spread is None else f"{row}   spread {spread:.2f}"]


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
