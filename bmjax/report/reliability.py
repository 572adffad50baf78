"""The reliability diagram: how often a system is correct, by its probability."""

from collections.abc import Sequence
from typing import NamedTuple

from bmjax.report.drawing import text_label


class Bin(NamedTuple):
    """The images whose probability fell into one bin; rates from 0 to 1."""

    confidence: float  # their mean probability
    accuracy: float  # the fraction that is correct
    low: float  # of the interval of `accuracy`
    high: float
    images: int


def reliability_diagram(bins: Sequence[Bin], name: str) -> str:
    """Accuracy against probability with intervals, and a histogram of the images.

    Bins without images are to be left out. On the diagonal a system is as often correct
    as it says. Returns two drawings as SVG, the histogram below.
    """
    from html import escape

    ticks = "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{1 - tick:.0%}" y2="{1 - tick:.0%}"/>'
        f'<line class="grid" x1="{tick:.0%}" x2="{tick:.0%}" y1="0" y2="100%"/>'
        f'<text class="end" x="-6" y="{1 - tick:.0%}" dy=".32em">{tick:g}</text>'
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    diagonal = '<line class="level" x1="0" x2="100%" y1="100%" y2="0"/>'
    marks = "".join(
        f'<line class="interval accent" x1="{entry.confidence:.2%}" '
        f'x2="{entry.confidence:.2%}" y1="{1 - entry.high:.2%}" '
        f'y2="{1 - entry.low:.2%}"/><circle class="accent" '
        f'cx="{entry.confidence:.2%}" cy="{1 - entry.accuracy:.2%}" '
        f'r="4"><title>{entry.images:,} images: correct {entry.accuracy:.1%}, mean '
        f"probability {entry.confidence:.1%}</title></circle>"
        for entry in bins
    )
    sides = text_label("3%", "5%", "correct", "") + text_label(
        "97%", "95%", "probability", "end"
    )
    title = escape(f"Reliability of {name}: accuracy against probability")
    return (
        f'<svg class="reliability" role="img" aria-label="{title}">'
        f"{ticks}{diagonal}{marks}{sides}</svg>{_histogram(bins)}"
    )


def _histogram(bins: Sequence[Bin]) -> str:
    most = max((entry.images for entry in bins), default=1)
    bars = "".join(
        f'<line class="column" x1="{entry.confidence:.2%}" x2="{entry.confidence:.2%}" '
        f'y1="100%" y2="{1 - entry.images / most:.2%}"/>'
        for entry in bins
    )
    numbers = "".join(
        f'<text class="mid" x="{tick:.0%}" y="100%" dy="1.3em">{tick:g}</text>'
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    return (
        '<svg class="histogram" role="img" aria-label="Images by probability">'
        f'<text class="end" x="-6" y="0" dy=".8em">{most:,}</text>'
        f"{bars}{numbers}</svg>"
    )
