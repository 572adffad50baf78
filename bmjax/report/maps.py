"""The map of the features: dots colored by class, and names that stay apart."""

import itertools
import statistics
import textwrap
from collections import Counter
from collections.abc import Sequence
from html import escape

from bmjax.report.drawing import class_color, dot_path, stretched, text_label
from bmjax.report.run_files import Point
from bmjax.report.words import full_name

LETTER, LINE = 8.5, 14.0  # pixels that a label's letter takes, across and down
MAP_WIDTH = 320.0  # pixels of the map for which labels are kept apart
TALLEST = 720  # pixels of the map
NARROWEST = 0.4  # of the map's longer side
LONGEST = 14  # letters of a label on the map
_FILE_WIDTH, _FILE_LETTERS = 800, 170  # pixels of the map in a file, letters of a line
_FILE_STYLE = """\
svg { overflow: visible } text { font: 13px sans-serif; fill: #1d2127 }
.dots { stroke-width: 6px; stroke-opacity: .75; stroke-linecap: round; fill: none;
vector-effect: non-scaling-stroke } .mid { text-anchor: middle }
.label { font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 3.5px }
"""
SPARSE = 10  # dots of a class that its own label would hide: it stands above them


def feature_map(points: Sequence[Point], classes: Sequence[str]) -> str:
    """Dots colored by class, each class named at its dot nearest to its median.

    The two axes keep one scale. Classes without a dot are not drawn. Returns SVG.
    """
    drawing, ratio = _map(points, classes)
    return (
        f'<svg class="map" role="img" aria-label="Map of the features" style="'
        f"aspect-ratio:{ratio:.4f};max-width:{TALLEST * ratio:.0f}px"
        f'">{drawing}</svg>'
    )


def _map(points: Sequence[Point], classes: Sequence[str]) -> tuple[str, float]:
    """Dots and names, and how much wider than high they are."""
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
        f'<path class="dots" stroke="{class_color(index)}" d="{dot_path(places)}"/>'
        for index, places in enumerate(groups.values())
        if places
    )
    labels = _map_labels(groups, MAP_WIDTH, MAP_WIDTH * height / width)
    return f"{stretched(dots)}{labels}", width / height


def map_file(points: Sequence[Point], classes: Sequence[str], caption: str) -> str:
    """The map with its legend and a caption as an SVG file of its own, on white."""
    drawing, ratio = _map(points, classes)
    shown = Counter(point.label for point in points)
    legend = [
        f'<path class="dots" stroke="{class_color(index)}" d="M0 {22 * row}h0"/>'
        f'<text x="12" y="{22 * row + 4}">{escape(label)} {escape(full_name(label))} '
        f"{shown[label]:,}</text>"
        for row, (index, label) in enumerate(
            (index, label) for index, label in enumerate(classes) if shown[label]
        )
    ]
    high = max(round(_FILE_WIDTH / ratio), 22 * len(legend))
    below = [
        f'<text x="20" y="{high + 60 + 18 * row}">{escape(line)}</text>'
        for row, line in enumerate(textwrap.wrap(caption, _FILE_LETTERS))
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_FILE_WIDTH + 300}" '
        f'height="{high + 60 + 18 * len(below)}"><style>{_FILE_STYLE}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<svg x="20" y="20" width="{_FILE_WIDTH}" '
        f'height="{round(_FILE_WIDTH / ratio)}">{drawing}</svg>'
        f'<g transform="translate({_FILE_WIDTH + 60} 24)">{"".join(legend)}</g>'
        f"{''.join(below)}</svg>\n"
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
        for i, j in itertools.combinations(range(len(spots)), 2):
            first, second = spots[i], spots[j]
            gaps = [
                (widths[i] + widths[j]) / 2 - abs(first[0] - second[0]),
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
        text_label(f"{x / wide:.2%}", f"{y / high:.2%}", name, "mid")
        for name, (x, y) in zip(names, spots, strict=True)
    )


def _center(places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The place nearest to the median of all, so that it lies on a dot."""
    x = statistics.median(place[0] for place in places)
    y = statistics.median(place[1] for place in places)
    return min(places, key=lambda place: (place[0] - x) ** 2 + (place[1] - y) ** 2)
