"""The curves of a run: a panel for each logged number."""

import statistics
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from bmjax.report import words
from bmjax.report.curves import line_plot
from bmjax.report.drawing import short
from bmjax.report.run_files import Series, finite

_LOSSES = ("train/loss", "train/loss_over_ln_k")
_HEIGHT = 110  # pixels of a panel that is not the loss's
_FILE_WIDTH, _FILE_LOSS = 680, 160  # pixels of a file of panels, and of its loss
_FILE_STYLE = """\
svg { overflow: visible } text { font: 12px sans-serif; fill: #5d6570 }
.title { font-weight: 600; fill: #1d2127 } .end { text-anchor: end }
.mid { text-anchor: middle } .grid { stroke: #e2e5e9 }
.level { stroke: #5d6570; stroke-dasharray: 5 4 }
path { fill: none; stroke: #2c6fa6; vector-effect: non-scaling-stroke }
.line { stroke-width: 1.6px } .dots { stroke-width: 5px; stroke-linecap: round }
"""


class Panel(NamedTuple):
    """One drawn series: its title, its last value as text, its SVG."""

    title: str
    last: str
    wide: bool
    drawing: str


def panels(series: Sequence[Series], height: int = 260) -> list[Panel]:
    """A panel for each series: the loss first and larger, then train/*, then others.

    The loss has a line at ln K, the loss of a guess among K prototypes, where its
    ratio to ln K was logged; the ratio then needs no panel of its own.
    """
    from markupsafe import Markup

    by_name = {logged.name: logged for logged in series if logged.steps}
    level = _guess_level(by_name)
    if level:
        by_name.pop("train/loss_over_ln_k")
    if not by_name:
        return []
    first = min(logged.steps[0] for logged in by_name.values())
    last = max(logged.steps[-1] for logged in by_name.values())
    drawn = []
    for name in sorted(by_name, key=_panel_order):
        wide = name == "train/loss"
        drawing = line_plot(
            by_name[name],
            steps=(first, last),
            height=height if wide else _HEIGHT,
            ticks=6 if wide else 3,
            reference=level if wide else None,
        )
        value = finite(by_name[name].values[-1])
        text = f"{words.NONE} (not finite)" if value is None else short(value)
        drawn.append(Panel(_series_title(name), text, wide, Markup(drawing)))
    return drawn


def loss_panel(series: Sequence[Series], title: str) -> Panel:
    """The loss of a run alone, or an empty panel that says that there is none."""
    drawn = panels([logged for logged in series if logged.name in _LOSSES], height=160)
    if not drawn:
        return Panel(title, "no loss was logged", False, "")
    return drawn[0]._replace(title=title, last=f"last {drawn[0].last}")


def panels_file(series: Sequence[Series]) -> str:
    """The panels one below the other as an SVG file of its own, on white."""
    top, left, right = 30, 56, 16  # pixels around a drawing
    parts, y = [], 0
    for panel in panels(series, height=_FILE_LOSS):
        height = _FILE_LOSS if panel.wide else _HEIGHT
        parts.append(
            f'<text class="title" x="{left}" y="{y + 18}">{escape(panel.title)}</text>'
            f'<svg x="{left}" y="{y + top}" width="{_FILE_WIDTH - left - right}" '
            f'height="{height}">{panel.drawing}</svg>'
        )
        y += height + 2 * top
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_FILE_WIDTH}" height="{y}">'
        f'<style>{_FILE_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _guess_level(by_name: dict[str, Series]) -> tuple[float, str] | None:
    """The level ln K and its name, from the loss and its ratio to ln K."""
    loss, ratio = by_name.get("train/loss"), by_name.get("train/loss_over_ln_k")
    if loss is None or ratio is None:
        return None
    ratios = dict(zip(ratio.steps, ratio.values, strict=True))
    pairs = zip(loss.steps, loss.values, strict=True)
    levels = [
        value / ratios[step]
        for step, value in pairs
        if ratios.get(step) and finite(value / ratios[step]) is not None
    ]
    if not levels:
        return None
    level = statistics.median(levels)
    return level, f"ln K = {level:.3g}"


def _panel_order(name: str) -> tuple[bool, bool, str]:
    return name != "train/loss", not name.startswith("train/"), name


def _series_title(name: str) -> str:
    words = name.removeprefix("train/").replace("/", ", ").replace("_", " ")
    return words[:1].upper() + words[1:]
