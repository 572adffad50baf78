"""A map of features as SVG: classes named on it, told apart by shape and color."""

import textwrap
from collections.abc import Sequence
from html import escape

import numpy as np

from bmjax.data.matek import class_name
from bmjax.report.maps import keep_apart

# Okabe and Ito's colors, which the color-blind tell apart, without their yellow; with
# three shapes they make 21 marks, one a class of the release.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555")
_SHAPES = ("circle", "triangle", "cross")
_SIDE, _MARGIN, _LEGEND = 900, 24, 300  # pixels
_LOWEST = 450  # pixels of the map, however flat it is
_LETTER = 9.5  # pixels of a label's letter
_MOVED = 22  # pixels that a label may stand off its class without a line to it


def scatter(
    places: np.ndarray, labels: Sequence[str], classes: Sequence[str], caption: str
) -> str:
    """Draw points by class, a legend and a caption.

    Args:
        places: float [n, 2].
        labels: class of each point.
        classes: all classes, in the legend's order; one without points is left out.
        caption: below the map.

    Returns:
        a whole SVG document, on white.
    """
    named = np.asarray(labels)
    spots, tall = _scaled(places)
    marks, legend, centers, names = [], [], [], []
    for number, name in enumerate(classes):
        own = spots[named == name]
        if not len(own):
            continue
        color = _COLORS[number % len(_COLORS)]
        shape = _SHAPES[number // len(_COLORS) % len(_SHAPES)]
        marks.append(_marks(own, shape, color))
        centers.append(tuple(own[np.argmin(((own - np.median(own, 0)) ** 2).sum(1))]))
        y = 40 + 28 * len(names)
        x = _SIDE + 2 * _MARGIN
        legend.append(_marks(np.array([[x, y]]), shape, color, size=6))
        full = class_name(name)
        text = escape(name) + (f" {escape(full)}" if full != name else "")
        legend.append(
            f'<text x="{x + 16}" y="{y + 5}">{text} '
            f'<tspan fill="#777777">{len(own):,}</tspan></text>'
        )
        names.append(name)
    lines = textwrap.wrap(caption, 165)
    width = _SIDE + 2 * _MARGIN + _LEGEND
    height = max(tall + 2 * _MARGIN, 40 + 28 * len(names)) + 20 * len(lines) + 16
    below = "".join(
        f'<text x="{_MARGIN}" y="{height - 20 * (len(lines) - n) + 6}" '
        f'fill="#444444">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="15"><title>Map of the features</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<rect x="{_MARGIN / 2}" y="{_MARGIN / 2}" width="{_SIDE + _MARGIN}" '
        f'height="{tall + _MARGIN}" fill="none" stroke="#dddddd"/>'
        f"{''.join(marks)}{_labels(centers, names)}{''.join(legend)}{below}</svg>\n"
    )


def _scaled(places: np.ndarray) -> tuple[np.ndarray, int]:
    """Places in pixels, one scale for both axes, and the height that they take."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = _SIDE / max((high - low).max(), 1e-12)
    tall = int(min(max((high - low)[1] * scale, _LOWEST), _SIDE))
    spots = (places - (low + high) / 2) * scale * np.array([1, -1])
    return spots + _MARGIN + np.array([_SIDE, tall]) / 2, tall


def _marks(spots: np.ndarray, shape: str, color: str, size: float = 3.4) -> str:
    """One path for all marks of a class."""
    r = size
    if shape == "cross":
        arm = 0.9 * r
        d = f"m{-arm:g} {-arm:g}l{2 * arm:g} {2 * arm:g}"
        d += f"m0 {-2 * arm:g}l{-2 * arm:g} {2 * arm:g}"
        style = f'fill="none" stroke="{color}" stroke-width="{0.55 * r:g}"'
    elif shape == "triangle":
        d = f"m0 {-1.2 * r:g}l{1.15 * r:g} {2 * r:g}h{-2.3 * r:g}z"
        style = f'fill="{color}"'
    else:
        d = f"m{-r:g} 0a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0"
        style = f'fill="{color}"'
    path = "".join(f"M{x:.1f} {y:.1f}{d}" for x, y in spots)
    return f'<path {style} fill-opacity="0.75" d="{path}"/>'


def _labels(centers: list[tuple[float, float]], names: list[str]) -> str:
    """Each class's name at its middle, pushed apart, on a halo."""
    spots = keep_apart(centers, [_LETTER * max(len(name), 2) + 6 for name in names])
    said = []
    for (x, y), (at_x, at_y), name in zip(spots, centers, names, strict=True):
        if np.hypot(x - at_x, y - at_y) > _MOVED:
            said.append(
                f'<path d="M{x:.1f} {y:.1f}L{at_x:.1f} {at_y:.1f}" stroke="#000000" '
                'stroke-width="0.8"/>'
            )
        said.append(
            f'<text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" '
            'font-weight="bold" stroke="#ffffff" stroke-width="4" '
            'stroke-linejoin="round" paint-order="stroke" fill="#000000">'
            f"{escape(name)}</text>"
        )
    return "".join(said)
