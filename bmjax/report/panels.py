"""The curves of a run: a panel for each logged number."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from bmjax.report import words
from bmjax.report.curves import line_plot
from bmjax.report.drawing import short
from bmjax.report.run_files import Series, finite

_LOSSES = ("train/loss", "train/loss_over_ln_k")


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

    by_name = {one.name: one for one in series if one.steps}
    level = _guess_level(by_name)
    if level:
        by_name.pop("train/loss_over_ln_k")
    if not by_name:
        return []
    first = min(one.steps[0] for one in by_name.values())
    last = max(one.steps[-1] for one in by_name.values())
    drawn = []
    for name in sorted(by_name, key=_panel_order):
        wide = name == "train/loss"
        drawing = line_plot(
            by_name[name],
            steps=(first, last),
            height=height if wide else 110,
            ticks=6 if wide else 3,
            reference=level if wide else None,
        )
        value = finite(by_name[name].values[-1])
        text = f"{words.NONE} (not finite)" if value is None else short(value)
        drawn.append(Panel(_series_title(name), text, wide, Markup(drawing)))
    return drawn


def loss_panel(series: Sequence[Series], title: str) -> Panel:
    """The loss of a run alone, or an empty panel that says that there is none."""
    drawn = panels([one for one in series if one.name in _LOSSES], height=160)
    if not drawn:
        return Panel(title, "no loss was logged", False, "")
    return drawn[0]._replace(title=title, last=f"last {drawn[0].last}")


def _guess_level(by_name: dict[str, Series]) -> tuple[float, str] | None:
    """The level ln K and its name, from the loss and its ratio to ln K."""
    loss, ratio = by_name.get("train/loss"), by_name.get("train/loss_over_ln_k")
    if loss is None or ratio is None:
        return None
    ratios = dict(zip(ratio.steps, ratio.values, strict=True))
    pairs = zip(loss.steps, loss.values, strict=True)
    found = [
        value / ratios[step]
        for step, value in pairs
        if ratios.get(step) and finite(value / ratios[step]) is not None
    ]
    if not found:
        return None
    level = statistics.median(found)
    return level, f"ln K = {level:.3g}"


def _panel_order(name: str) -> tuple[bool, bool, str]:
    return name != "train/loss", not name.startswith("train/"), name


def _series_title(name: str) -> str:
    words = name.removeprefix("train/").replace("/", ", ").replace("_", " ")
    return words[:1].upper() + words[1:]
