"""One logged number over the steps of a run, drawn as a line."""

import math
from collections.abc import Sequence
from html import escape

from bmjax.report.drawing import (
    dot_path,
    line_path,
    nice_ticks,
    short,
    stretched,
    text_label,
)
from bmjax.report.run_files import Series

MOST_POINTS = 800  # of one line; more would not be seen


def thin(steps: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """The points to draw: all, or of each run of many the lowest and the highest."""
    pairs = list(zip(steps, values, strict=True))
    if len(pairs) <= MOST_POINTS:
        return pairs
    width = math.ceil(2 * len(pairs) / MOST_POINTS)
    kept = []
    for start in range(0, len(pairs), width):
        run = pairs[start : start + width]
        chunk = [pair for pair in run if math.isfinite(pair[1])]
        if chunk:
            kept += {min(chunk, key=_height), max(chunk, key=_height)}
    return sorted(kept)


def line_plot(
    series: Series,
    *,
    steps: tuple[float, float],
    height: int,
    ticks: int,
    reference: tuple[float, str] | None = None,
) -> str:
    """One series against the step; a break in the line is a number not finite.

    `steps` is the range of the step axis; `reference` is a level and its name, drawn
    as a dashed line. Returns SVG of the given height in pixels.
    """
    points = thin(series.steps, series.values)
    seen = [value for _, value in points if math.isfinite(value)]
    low, high = _value_range(seen + ([reference[0]] if reference else []))
    left, right = _padded(*steps) if steps[0] == steps[1] else steps

    def x(step: float) -> float:
        return (step - left) / (right - left)

    def y(value: float) -> float:
        return (high - value) / (high - low)

    marks = [
        f'<line class="grid" x1="0" x2="100%" y1="{y(tick):.2%}" y2="{y(tick):.2%}"/>'
        f'<text x="-8" y="{y(tick):.2%}" dy=".32em" class="end">{short(tick)}</text>'
        for tick in nice_ticks(low, high, ticks)
    ]
    marks += [
        f'<text x="{x(tick):.2%}" y="100%" dy="1.5em" class="mid">{short(tick)}</text>'
        for tick in nice_ticks(left, right, 4)
        if tick == round(tick)
    ]
    drawn = [(x(step), y(value)) for step, value in points]
    shape = f'<path class="line" d="{line_path(drawn)}"/>'
    if len(seen) <= 12:
        shape += f'<path class="dots" d="{dot_path(drawn)}"/>'
    name = ""
    if reference:
        at = f"{y(reference[0]):.2%}"
        marks.append(f'<line class="level" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
        name = text_label("100%", at, reference[1], "end", rise="1.3em")
    title = escape(f"{series.name} over the steps")
    return (
        f'<svg class="plot" role="img" aria-label="{title}" height="{height}">'
        f"{''.join(marks)}{stretched(shape)}{name}</svg>"
    )


def _value_range(values: Sequence[float]) -> tuple[float, float]:
    """The range of a value axis: from zero where that costs less than half of it."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if 0 < low <= high / 2:
        low = 0.0
    return (low, high) if low < high else _padded(low, high)


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range around one value, as a range must have a width."""
    margin = abs(low) / 10 or 1.0
    return low - margin, high + margin


def _height(pair: tuple[float, float]) -> float:
    return pair[1]
