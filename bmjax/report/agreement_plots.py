"""Two drawings of two readers' shares: the line through them, and their differences."""

from collections.abc import Sequence
from html import escape
from typing import Any

from bmjax.report.drawing import (
    dot_path,
    line_path,
    nice_ticks,
    short,
    stretched,
    text_label,
)

Shares = Sequence[Sequence[float]]  # of the first reader, and of the second, in percent
_ROOM = 1.25  # for the names of the axes, above and below what is drawn


def line_through(
    shares: Shares, line: dict[str, Any] | None, names: tuple[str, str], label: str
) -> str:
    """The second reader's share against the first's, as SVG.

    Args:
        shares: of both, by case.
        line: `slope` and `intercept`; None: there is none.
        names: of the readers.
        label: of the class.
    """
    most = max(*shares[0], *shares[1], 1.0) * 1.05
    drawn = _dots(zip(*shares, strict=True), (0.0, most), (0.0, most))
    if line:
        drawn = _line(line["slope"], line["intercept"], most) + drawn
    title = escape(f"{label}: share by {names[1]} against share by {names[0]}")
    return (
        f'<svg class="agree" role="img" aria-label="{title}">'
        f"{_axes((0.0, most), (0.0, most))}"
        '<line class="level" x1="0" x2="100%" y1="100%" y2="0"/>'
        f"{stretched(drawn)}"
        f"{text_label('3%', '5%', f'{names[1]}, %', '')}"
        f"{text_label('97%', '95%', f'{names[0]}, %', 'end')}</svg>"
    )


def difference_plot(
    shares: Shares, limits: dict[str, Any], label: str, *, intervals: bool
) -> str:
    """Differences against means with the bias and the limits of agreement, as SVG.

    Args:
        shares: of both readers, by case.
        limits: of `evals.method_agreement`, as a dict.
        label: of the class.
        intervals: whether those of bias and limits are drawn.
    """
    pairs = list(zip(*shares, strict=True))
    points = [((a + b) / 2, b - a) for a, b in pairs]
    most = max(max(x for x, _ in points), 1.0) * 1.05
    drawn = {key: limits[f"{key}_interval"] for key in ("low", "bias", "high")}
    if not intervals:
        drawn = {key: [limits[key]] * 2 for key in drawn}
    seen = [*(y for _, y in points), *(end for ends in drawn.values() for end in ends)]
    reach = max(0.5, *map(abs, seen))
    up = (-reach * _ROOM, reach * _ROOM)
    marks = []
    for key, ends in drawn.items():
        y, low, high = (_down(value, up) for value in (limits[key], *ends))
        marks.append(
            f'<rect class="band" x="0" width="100%" y="{high:.2%}" '
            f'height="{max(low - high, 0):.2%}"/>'
            f'<line class="{"mean" if key == "bias" else "level"}" x1="0" x2="100%" '
            f'y1="{y:.2%}" y2="{y:.2%}"/>'
        )
    title = escape(f"{label}: difference against mean, with limits of agreement")
    return (
        f'<svg class="agree" role="img" aria-label="{title}">'
        f"{_axes((0.0, most), up)}{''.join(marks)}"
        f"{stretched(_dots(points, (0.0, most), up))}"
        f"{text_label('3%', '5%', 'difference, points', '')}"
        f"{text_label('97%', '95%', 'mean, %', 'end')}</svg>"
    )


def _axes(across: tuple[float, float], up: tuple[float, float]) -> str:
    lines = []
    for tick in nice_ticks(*up, 5):
        y = _down(tick, up)
        lines.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y:.2%}" y2="{y:.2%}"/>'
            f'<text class="end" x="-6" y="{y:.2%}" dy=".32em">{short(tick)}</text>'
        )
    for tick in nice_ticks(*across, 5):
        x = tick / across[1]
        lines.append(
            f'<line class="grid" x1="{x:.2%}" x2="{x:.2%}" y1="0" y2="100%"/>'
            f'<text class="mid" x="{x:.2%}" y="100%" dy="1.4em">{short(tick)}</text>'
        )
    return "".join(lines)


def _dots(points: Any, across: tuple[float, float], up: tuple[float, float]) -> str:
    places = [(x / across[1], _down(y, up)) for x, y in points]
    return f'<path class="dots" d="{dot_path(places)}"/>'


def _line(slope: float, intercept: float, most: float) -> str:
    """The line where it lies within [0, most] on both axes."""
    crossings = [(x, intercept + slope * x) for x in (0.0, most)]
    crossings += [((y - intercept) / slope, y) for y in (0.0, most)]
    inside = sorted(
        (x, y)
        for x, y in crossings
        if -1e-9 <= x <= most * (1 + 1e-9) and -1e-9 <= y <= most * (1 + 1e-9)
    )
    if len(inside) < 2:
        return ""
    ends = [(x / most, 1 - y / most) for x, y in (inside[0], inside[-1])]
    return f'<path class="line" d="{line_path(ends)}"/>'


def _down(value: float, up: tuple[float, float]) -> float:
    """The place of a value from the top, 0 to 1 and no farther."""
    return min(max((up[1] - value) / (up[1] - up[0]), 0.0), 1.0)
