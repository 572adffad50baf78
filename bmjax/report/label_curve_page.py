"""Learning curves of several systems on one HTML page without network or script."""

import itertools
import math
import statistics
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.report import dots, words
from bmjax.report.drawing import nice_ticks, short
from bmjax.report.render import render, write_page

_METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
}
_CLASSIFIERS = {"logistic": "", "nearest": "nearest neighbor"}
_ALL = "all"
_ENDS = 0.05  # of a figure's width that is left free at each side
_SCALED = 0.76  # of the width on which the counts stand on a logarithmic scale
_APART = 5  # pixels between the marks of two systems at one place
_HEIGHT = 280


class Spread(NamedTuple):
    """The values of one metric over the draws."""

    mean: float
    low: float
    high: float
    deviation: float | None  # ddof 1; None of a single value


class Cell(NamedTuple):
    """A number of a table and what stands small after it."""

    value: str
    interval: str = ""


def write_label_curves(out: Path, stored: dict[str, Any]) -> Path:
    """Write `out/index.html`; the same content gives the same bytes.

    Args:
        out: a folder.
        stored: content of few_labels.json.

    Raises:
        DataError: it cannot be written there.
    """
    return write_page(
        out / "index.html", render("label_curves.html", page_contents(stored))
    )


def page_contents(stored: dict[str, Any]) -> dict[str, Any]:
    """What the template shows, from the content of few_labels.json."""
    from markupsafe import Markup

    systems = stored["systems"]
    names = [one["name"] for one in systems]
    return {
        "names": names,
        "marks": [Markup(dots.swatch(number)) for number in range(len(systems))],
        "data": (
            f"{stored['n_train']:,} training images, {stored['n_test']:,} test images, "
            f"{len(stored['classes'])} classes; split {stored['split']} "
            f"{stored['fold']}"
        ),
        "draws": stored["draws"],
        "heads": [str(count) for count in stored["per_class"]],
        "labeled": _labeled_rows(stored),
        "warnings": _warnings(systems),
        "figures": [
            (title, Markup(curve_figure(stored, metric, title)))
            for metric, title in _METRICS.items()
        ],
        "numbers": [
            (title, metric, _number_rows(stored, metric))
            for metric, title in _METRICS.items()
        ],
        "differences": [
            (title, metric, _difference_rows(stored, metric))
            for metric, title in _METRICS.items()
        ]
        if len(systems) > 1
        else [],
        "systems": [
            (
                one["name"],
                words.value_text(one["network"]),
                one["training"],
                f"{one['width']:,}",
                one["features"],
            )
            for one in systems
        ],
        "facts": _facts(stored),
    }


def values_of(
    system: dict[str, Any], classifier: str, metric: str, per_class: int | str
) -> list[float]:
    """A metric in each draw, in the order of the draws; not defined: left out."""
    found = {
        one["draw"]: one[metric]
        for one in system["results"]
        if one["classifier"] == classifier and one["per_class"] == per_class
    }
    return [found[draw] for draw in sorted(found) if found[draw] is not None]


def spread_of(values: Sequence[float]) -> Spread:
    """Mean, range and standard deviation of some values, one at least."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), min(values), max(values), deviation)


def places(per_class: Sequence[int | str]) -> list[float]:
    """Where each count stands across, as a share of the width; "all" at the end."""
    counts = [math.log(count) for count in per_class if count != _ALL]
    width = _SCALED if _ALL in per_class else 1 - 2 * _ENDS
    low, high = (min(counts), max(counts)) if counts else (0.0, 0.0)
    found = []
    for count in per_class:
        if count == _ALL:
            found.append(1 - _ENDS)
        elif high == low:
            found.append(_ENDS + width / 2)
        else:
            found.append(_ENDS + width * (math.log(count) - low) / (high - low))
    return found


def curve_figure(stored: dict[str, Any], metric: str, title: str) -> str:
    """One metric of all systems against the labels per class, as SVG."""
    per_class = stored["per_class"]
    across = places(per_class)
    curves = []
    for system in stored["systems"]:
        values = [values_of(system, "logistic", metric, count) for count in per_class]
        curves.append([spread_of(found) if found else None for found in values])
    axis = dots.axis_of(
        [
            dots.ScoreInterval(spread.mean, spread.low, spread.high)
            for curve in curves
            for spread in curve
            if spread
        ]
    )
    ticks = nice_ticks(axis.low, axis.high, 8)

    def y(value: float) -> str:
        return f"{(axis.high - value) / (axis.high - axis.low):.2%}"

    marks = [
        f'<line class="grid" x1="0" x2="100%" y1="{y(tick)}" y2="{y(tick)}"/>'
        f'<text x="-8" y="{y(tick)}" dy=".32em" class="end">{short(tick)}</text>'
        for tick in ticks
    ]
    marks += [
        f'<line class="grid" x1="{x:.2%}" x2="{x:.2%}" y1="0" y2="100%"/>'
        f'<text x="{x:.2%}" y="100%" dy="1.5em" class="mid">{count}</text>'
        for x, count in zip(across, per_class, strict=True)
    ]
    for number, curve in enumerate(curves):
        shift = _APART * (number - (len(curves) - 1) / 2)
        marks.append(f'<g transform="translate({shift:g} 0)">')
        marks += _curve(number, curve, across, per_class, y)
        marks.append("</g>")
    label = escape(f"{title} against labeled images per class")
    return (
        f'<svg class="plot" role="img" aria-label="{label}" height="{_HEIGHT}">'
        f"{''.join(marks)}</svg>"
    )


def _curve(number, curve, across, per_class, y) -> list[str]:
    """The line, the ranges and the marks of one system."""
    color = f"s{number % dots.COLORS}"
    shape = dots.SHAPES[number % len(dots.SHAPES)]
    points = [
        (x, spread, count)
        for x, spread, count in zip(across, curve, per_class, strict=True)
        if spread
    ]
    drawn = []
    for (left, first, _), (right, second, count) in itertools.pairwise(points):
        # "all" has no place on the scale: the line there is broken into dashes.
        dashes = ' stroke-dasharray="5 4"' if count == _ALL else ""
        drawn.append(
            f'<line class="{color}" stroke-width="1.6"{dashes} x1="{left:.2%}" '
            f'x2="{right:.2%}" y1="{y(first.mean)}" y2="{y(second.mean)}"/>'
        )
    for x, spread, _ in points:
        if spread.high > spread.low:
            drawn.append(
                f'<line class="interval {color}" x1="{x:.2%}" x2="{x:.2%}" '
                f'y1="{y(spread.low)}" y2="{y(spread.high)}"/>'
            )
        drawn.append(
            f'<svg x="{x:.2%}" y="{y(spread.mean)}" overflow="visible">'
            f'<path class="mark {color}" d="{shape}"/></svg>'
        )
    return drawn


def _labeled_rows(stored: dict[str, Any]) -> list[tuple[str, list[str]]]:
    labeled = stored["labeled"]
    short_of = [
        words.NONE if one["per_class"] == _ALL else f"{len(one['short_classes'])}"
        for one in labeled
    ]
    return [
        ("Labeled images", [f"{one['images']:,}" for one in labeled]),
        ("Classes with fewer", short_of),
    ]


def _warnings(systems: Sequence[dict[str, Any]]) -> list[str]:
    """Of each system whose features know labels that the curves do not count."""
    found = []
    for one in systems:
        if one["labels"] == "all":
            found.append(
                f"{one['name']} was trained {one['training']}. Only the classifier on "
                "its features learns from few labels here, so its curve does not say "
                "how many labels are enough."
            )
        elif one["labels"] == "unknown":
            found.append(
                f"{one['name']}: {one['training']}, so labels of these images may have "
                "been among it."
            )
    return found


def _number_rows(
    stored: dict[str, Any], metric: str
) -> list[tuple[int, str, list[Cell]]]:
    """Each system with each classifier: mean and deviation by number of labels."""
    rows = []
    for number, system in enumerate(stored["systems"]):
        for classifier, name in _CLASSIFIERS.items():
            cells = []
            for count in stored["per_class"]:
                values = values_of(system, classifier, metric, count)
                cells.append(_cell(spread_of(values)) if values else Cell(words.NONE))
            title = f"{system['name']}, {name}" if name else system["name"]
            rows.append((number, title, cells))
    return rows


def _cell(spread: Spread) -> Cell:
    if spread.deviation is None:
        return Cell(words.score(spread.mean))
    return Cell(words.score(spread.mean), f"± {spread.deviation:.3f}")


def _difference_rows(
    stored: dict[str, Any], metric: str
) -> list[tuple[int, str, list[Cell]]]:
    """Each other system minus the first, draw by draw."""
    first, *others = stored["systems"]
    rows = []
    for number, system in enumerate(others, start=1):
        cells = []
        for count in stored["per_class"]:
            pairs = [
                values_of(one, "logistic", metric, count) for one in (system, first)
            ]
            gains = [mine - its for mine, its in zip(*pairs, strict=False)]
            cells.append(_difference_cell(gains))
        rows.append((number, system["name"], cells))
    return rows


def _difference_cell(gains: Sequence[float]) -> Cell:
    if not gains:
        return Cell(words.NONE)
    spread = spread_of(gains)
    value = words.difference(spread.mean)
    if spread.deviation is None:
        return Cell(value)
    ahead = sum(gain > 0 for gain in gains)
    return Cell(
        f"{value} ± {spread.deviation:.3f}", f"ahead in {ahead} of {len(gains)}"
    )


def _facts(stored: dict[str, Any]) -> list[tuple[str, str]]:
    fits = [
        one
        for system in stored["systems"]
        for one in system["results"]
        if one["classifier"] == "logistic"
    ]
    strengths = stored["strengths"]
    ends = sum(one["strength"] in (strengths[0], strengths[-1]) for one in fits)
    unchosen = sum(not one["chosen_on"] for one in fits)
    converged = sum(one["converged"] for one in fits)
    largest = max(one["relative_gradient"] for one in fits)
    facts = [
        ("Seed of the draws", str(stored["seed"])),
        ("Strengths offered", words.listing([f"{one:g}" for one in strengths])),
        ("Fits that took the smallest or the largest", f"{ends} of {len(fits)}"),
        ("Fits that converged", f"{converged} of {len(fits)}"),
        ("Largest gradient at the end, relative", f"{largest:.1e}"),
        ("Data fingerprint", stored["data_fingerprint"]),
        ("Split digest", stored["split_digest"]),
    ]
    if unchosen:
        facts.insert(3, ("Fits without a choice of strength", f"{unchosen}"))
    return facts
