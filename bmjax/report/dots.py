"""Scores with their intervals as dots on lines, one shape and color a system."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bmjax.report.drawing import nice_ticks, short

COLORS = 8  # of systems, in the style sheet as s0 to s7
# Circle, square, diamond, triangle up, triangle down, bar: a system is told by its
# shape as well as by its color.
SHAPES = (
    "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "M-4-4h8v8h-8z",
    "M0-5.5L5.5 0L0 5.5L-5.5 0z",
    "M0-5L5 4H-5z",
    "M0 5L5-4H-5z",
    "M-2-5.5h4v11h-4z",
)
ROW, MARGIN = 13, 7  # pixels of a mark, and above and below all marks of a row


class ScoreInterval(NamedTuple):
    """A number and its interval; None where it is not defined or has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Axis(NamedTuple):
    """The range of a score's axis, and the numbers written below it."""

    low: float
    high: float
    ticks: list[float]

    def place(self, value: float) -> str:
        """Where a value stands, as a percentage; inside the axis always."""
        share = (value - self.low) / (self.high - self.low)
        return f"{min(max(share, 0.0), 1.0):.2%}"


SHARES = Axis(0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0])


def axis_of(estimates: Sequence[ScoreInterval], most: int = 4) -> Axis:
    """An axis with round ends that holds every number and interval."""
    numbers = [
        number
        for estimate in estimates
        for number in estimate
        if number is not None and math.isfinite(number)
    ]
    if not numbers:
        return SHARES
    low, high = min(numbers), max(numbers)
    margin = max((high - low) * 0.06, 0.005)
    low, high = low - margin, high + margin
    ticks = nice_ticks(low, high, most)
    return Axis(low, high, ticks if len(ticks) > 1 else nice_ticks(low, high, 2 * most))


def strip(
    marks: Sequence[tuple[int, ScoreInterval]],
    axis: Axis,
    *,
    level: float | None = None,
) -> str:
    """One row of a plot: each (system, estimate) below the one before it, as SVG.

    A system without a value leaves its line empty. `level` is a value to mark with a
    line, such as no difference.
    """
    height = 2 * MARGIN + ROW * len(marks)
    shapes = [
        f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="100%"/>'
        for x in map(axis.place, axis.ticks)
    ]
    if level is not None:
        x = axis.place(level)
        shapes.append(f'<line class="level" x1="{x}" x2="{x}" y1="0" y2="100%"/>')
    for number, (system, estimate) in enumerate(marks):
        if estimate.value is None:
            continue
        y = MARGIN + ROW * (number + 0.5)
        color = f"s{system % COLORS}"
        if estimate.low is not None and estimate.high is not None:
            ends = f'x1="{axis.place(estimate.low)}" x2="{axis.place(estimate.high)}"'
            shapes.append(
                f'<line class="interval {color}" {ends} y1="{y:g}" y2="{y:g}"/>'
            )
        shapes.append(
            f'<svg x="{axis.place(estimate.value)}" y="{y:g}" overflow="visible">'
            f'<path class="mark {color}" d="{SHAPES[system % len(SHAPES)]}"/></svg>'
        )
    return (
        f'<svg class="strip" aria-hidden="true" height="{height}">{"".join(shapes)}'
        "</svg>"
    )


def scale(axis: Axis) -> str:
    """The numbers below a plot's rows, as SVG."""
    numbers = "".join(
        f'<text class="mid" x="{x}" y="12">{short(round(tick, 6))}</text>'
        for tick, x in zip(axis.ticks, map(axis.place, axis.ticks), strict=True)
    )
    return f'<svg class="strip" aria-hidden="true" height="18">{numbers}</svg>'


def swatch(system: int) -> str:
    """A system's mark alone, for a legend or before its name, as SVG."""
    return (
        '<svg class="swatch" aria-hidden="true" width="14" height="14">'
        '<svg x="7" y="7" overflow="visible">'
        f'<path class="mark s{system % COLORS}" d="{SHAPES[system % len(SHAPES)]}"/>'
        "</svg></svg>"
    )
