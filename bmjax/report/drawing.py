"""What the report is drawn with: inline SVG, places and letters.

A drawing has no `viewBox` of its own: places are percentages and letters are pixels,
so that text keeps its size on any screen. Lines and dots stand in a nested drawing
that is stretched, with strokes that are not. Colors come from the page's style sheet,
save those of the classes, which were chosen (farthest first in OKLab, at a lightness
from 0.50 to 0.78) to differ from one another and to show on light and dark.
"""

import math
from collections.abc import Sequence
from html import escape

UNITS = 1000  # units of the stretched drawing
# fmt: off
CLASS_COLORS = (
    "#3e89d7", "#fb9a09", "#ba0d01", "#f082fb", "#1eac2e", "#8831b3",
    "#526d3c", "#73c4c7", "#ec4b7c", "#af7a31", "#ae66ed", "#99c73d",
    "#2456d3", "#956182", "#d796a3", "#529f91", "#9799e4", "#3d7295",
    "#f86111", "#bb1f74", "#aba468", "#1a8c26", "#995a1d", "#da3e05",
)
# fmt: on


def class_color(index: int) -> str:
    """The color of the class at `index`; past 24 classes the colors come again."""
    return CLASS_COLORS[index % len(CLASS_COLORS)]


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` + 1 round numbers in [low, high], evenly spaced."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    size = 10.0 ** math.floor(math.log10(span / most))
    step = next(size * k for k in (1, 2, 5, 10, 20) if span / (size * k) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [tick * step for tick in range(first, last + 1)]


def short(value: float) -> str:
    """A number for an axis or a caption: `0.25`, `50,000`, `2.5M`, `1e-05`."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g}M"
    if abs(value) >= 1e3:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-12 else "0"


def line_path(points: Sequence[tuple[float, float]]) -> str:
    """The path of a line through points of [0, 1]^2, broken where y is not finite."""
    pieces, pen = [], "M"
    for x, y in points:
        if not math.isfinite(y):
            pen = "M"
            continue
        pieces.append(f"{pen}{x * UNITS:.1f} {y * UNITS:.1f}")
        pen = "L"
    return "".join(pieces)


def dot_path(points: Sequence[tuple[float, float]]) -> str:
    """Lines of no length, which a round cap makes dots of one size on any screen."""
    return "".join(
        f"M{x * UNITS:.0f} {y * UNITS:.0f}h0" for x, y in points if math.isfinite(y)
    )


def stretched(shapes: str) -> str:
    """Shapes in units of `UNITS`, stretched over the drawing that they stand in."""
    return (
        f'<svg viewBox="0 0 {UNITS} {UNITS}" preserveAspectRatio="none" width="100%" '
        f'height="100%" overflow="visible">{shapes}</svg>'
    )


def text_label(x: str, y: str, text: str, anchor: str, rise: str = ".35em") -> str:
    """A name at a place, legible on dots; `anchor` is "mid", "end" or ""."""
    place = f'x="{x}" y="{y}" dy="{rise}"'
    return f'<text class="label {anchor}" {place}>{escape(text)}</text>'
