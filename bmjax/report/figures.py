"""The report's figures: numbers in, inline SVG out.

A drawing has no `viewBox` of its own: places are percentages and letters are pixels,
so that text keeps its size on any screen. Lines and dots stand in a nested drawing
that is stretched, with strokes that are not. Colors come from the page's style sheet,
save those of the classes, which were chosen (farthest first in OKLab, at a lightness
from 0.50 to 0.78) to differ from one another and to show on light and dark.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from html import escape

from bmjax.report.files import Point, Series

SIDE = 1000  # units of the stretched drawing
MOST_POINTS = 800  # of one line; more would not be seen
# fmt: off
CLASS_COLORS = (
    "#3e89d7", "#fb9a09", "#ba0d01", "#f082fb", "#1eac2e", "#8831b3",
    "#526d3c", "#73c4c7", "#ec4b7c", "#af7a31", "#ae66ed", "#99c73d",
    "#2456d3", "#956182", "#d796a3", "#529f91", "#9799e4", "#3d7295",
    "#f86111", "#bb1f74", "#aba468", "#1a8c26", "#995a1d", "#da3e05",
)
# fmt: on
LETTER, LINE = 8.5, 14.0  # pixels that a label's letter takes, across and down
MAP_WIDTH = 380.0  # pixels of the map for which labels are kept apart
TALLEST = 720  # pixels of the map
NARROWEST = 0.4  # of the map's longer side
LONGEST = 14  # letters of a label on the map
SPARSE = 10  # dots of a class that its own label would hide: it stands above them


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
    shape = f'<path class="line" d="{_path(drawn)}"/>'
    if len(seen) <= 12:
        shape += f'<path class="dots" d="{_dots(drawn)}"/>'
    name = ""
    if reference:
        at = f"{y(reference[0]):.2%}"
        marks.append(f'<line class="level" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
        name = _label("100%", at, reference[1], "end", rise="1.3em")
    title = escape(f"{series.name} over the steps")
    return (
        f'<svg class="plot" role="img" aria-label="{title}" height="{height}">'
        f"{''.join(marks)}{_stretched(shape)}{name}</svg>"
    )


def feature_map(points: Sequence[Point], classes: Sequence[str]) -> str:
    """Dots colored by class, each class named at its dot nearest to its median.

    The two axes keep one scale. Classes without a dot are not drawn. Returns SVG.
    """
    xs, ys = [point.x for point in points], [point.y for point in points]
    left, top = min(xs), max(ys)
    scale = max(max(xs) - left, top - min(ys)) or 1.0
    width = max((max(xs) - left) / scale, NARROWEST)
    height = max((top - min(ys)) / scale, NARROWEST)
    groups: dict[str, list[tuple[float, float]]] = {label: [] for label in classes}
    for point in points:
        place = ((point.x - left) / scale / width, (top - point.y) / scale / height)
        groups.setdefault(point.label, []).append(place)
    dots = "".join(
        f'<path class="dots" stroke="{class_color(index)}" d="{_dots(places)}"/>'
        for index, places in enumerate(groups.values())
        if places
    )
    labels = _map_labels(groups, MAP_WIDTH, MAP_WIDTH * height / width)
    ratio = width / height
    return (
        f'<svg class="map" role="img" aria-label="Map of the features" style="'
        f"aspect-ratio:{ratio:.4f};max-width:{TALLEST * ratio:.0f}px"
        f'">{_stretched(dots)}{labels}</svg>'
    )


def keep_apart(
    centers: Sequence[tuple[float, float]], widths: Sequence[float], rounds: int = 200
) -> list[tuple[float, float]]:
    """Centers of labels, in pixels, moved until no two labels lie on each other.

    Each round pushes overlapping labels apart, half each, along the shorter way; with
    more labels than there is room for, some still overlap after the last round.
    """
    spots = [list(center) for center in centers]
    for _ in range(rounds):
        moved = False
        for one, other in itertools.combinations(range(len(spots)), 2):
            first, second = spots[one], spots[other]
            gaps = [
                (widths[one] + widths[other]) / 2 - abs(first[0] - second[0]),
                LINE - abs(first[1] - second[1]),
            ]
            if min(gaps) <= 0.01:
                continue
            axis = gaps.index(min(gaps))
            push = gaps[axis] / 2 * (-1 if first[axis] <= second[axis] else 1)
            first[axis] += push
            second[axis] -= push
            moved = True
        if not moved:
            break
    return [(x, y) for x, y in spots]


def _map_labels(
    groups: dict[str, list[tuple[float, float]]], wide: float, high: float
) -> str:
    """The names of the groups on a map of `wide` by `high` pixels."""
    centers, names = [], []
    for label, places in groups.items():
        if places:
            x, y = _center(places)
            above = LINE if len(places) <= SPARSE else 0.0
            centers.append((x * wide, y * high - above))
            fits = len(label) <= LONGEST
            names.append(
                label if fits else label[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
            )
    spots = keep_apart(centers, [LETTER * max(len(name), 2) for name in names])
    return "".join(
        _label(f"{x / wide:.2%}", f"{y / high:.2%}", name, "mid")
        for name, (x, y) in zip(names, spots, strict=True)
    )


def _center(places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The place nearest to the median of all, so that it lies on a dot."""
    x = statistics.median(place[0] for place in places)
    y = statistics.median(place[1] for place in places)
    return min(places, key=lambda place: (place[0] - x) ** 2 + (place[1] - y) ** 2)


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


def _path(points: Sequence[tuple[float, float]]) -> str:
    pieces, pen = [], "M"
    for x, y in points:
        if not math.isfinite(y):
            pen = "M"
            continue
        pieces.append(f"{pen}{x * SIDE:.1f} {y * SIDE:.1f}")
        pen = "L"
    return "".join(pieces)


def _dots(points: Sequence[tuple[float, float]]) -> str:
    """Lines of no length, which a round cap makes dots of one size on any screen."""
    return "".join(
        f"M{x * SIDE:.0f} {y * SIDE:.0f}h0" for x, y in points if math.isfinite(y)
    )


def _stretched(shapes: str) -> str:
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" width="100%" '
        f'height="100%" overflow="visible">{shapes}</svg>'
    )


def _label(x: str, y: str, text: str, anchor: str, rise: str = ".35em") -> str:
    place = f'x="{x}" y="{y}" dy="{rise}"'
    return f'<text class="label {anchor}" {place}>{escape(text)}</text>'
