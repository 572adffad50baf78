"""Systems side by side as tables of text: averages, and one metric class by class.

A system is a dict of `evals.class_counts.assess_counts` with its `name` and, where they
are known, `sd` of its averages, `<metric>_sd` of its classes, `approximate` (its counts
were worked out from rounded rates) and `published` (averages that its source prints).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bmjax.data.matek import class_name
from bmjax.evals.confusion import AVERAGE_TITLES
from bmjax.report.table_formats import Table
from bmjax.report.words import NONE, with_sd

SystemMetrics = dict[str, Any]
Groups = Sequence[tuple[str, Sequence[SystemMetrics]]]  # a title, and one system or two
ABSENT, LACKING = "absent", "not in data"
METRIC_TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1-score"}


class MetricCell(NamedTuple):
    """One metric of one system."""

    text: str
    value: float | None = None
    over: tuple = ()  # what it averages: others are not subtracted


def alone(systems: Sequence[SystemMetrics]) -> Groups:
    """Each system in a group of its own, under its name."""
    return [
        (system["name"] + " (approximate)" * system.get("approximate", False), [system])
        for system in systems
    ]


def averages_table(caption: str, groups: Groups, averages: Sequence[str]) -> Table:
    """A row for each average, with deviation and interval as far as they are known."""
    rows = [
        (AVERAGE_TITLES[key], lambda system, key=key: average_cell(system, key))
        for key in averages
    ]
    return _table(caption, groups, "", rows)


def class_table(
    caption: str, groups: Groups, metric: str, classes: Sequence[str]
) -> Table:
    """A row for each class, and the mean over the classes below."""
    rows = [
        (class_name(name), lambda system, name=name: _class_cell(system, name, metric))
        for name in classes
    ]
    rows.append(("Avg", lambda system: average_cell(system, f"macro_{metric}", 3)))
    return _table(caption, groups, "Class", rows, frozenset([len(classes)]))


def correct_table(caption: str, groups: Groups, classes: Sequence[str]) -> Table:
    """Correct predictions of each class's images, with the interval of the recall."""

    def cell(system: SystemMetrics, name: str) -> MetricCell:
        entry = _entry(system, name)
        if entry is None or entry["correct"] is None:
            return MetricCell(NONE)
        if not entry["support"]:
            return MetricCell(ABSENT)
        counts = f"{entry['correct']:,} / {entry['support']:,}"
        return MetricCell(f"{counts} {interval_cell(entry['recall_interval'])}")

    rows = [
        (
            " ".join(dict.fromkeys([name, class_name(name)])),
            lambda s, n=name: cell(s, n),
        )
        for name in classes
    ]
    return _table(caption, groups, "Class", rows)


def average_cell(system: SystemMetrics, key: str, digits: int = 4) -> MetricCell:
    """An average with its deviation and, to four digits, its interval."""
    value = system.get(key)
    if value is None:
        value = system.get("published", {}).get(key)
        return MetricCell(NONE if value is None else f"{value:.2f} (in the text)")
    sd = system.get("sd", {}).get(key)
    ends = system["intervals"].get(key) if digits > 3 else None
    text = f"{value:.{digits}f}" + (f" ± {sd:.{digits}f}" if sd is not None else "")
    present = [e["abbreviation"] for e in system["per_class"] if e["support"]]
    rare = system["rare"] if key == "macro_f1_without_rare" else ()
    over = (frozenset(present), frozenset(rare))
    return MetricCell(f"{text} {interval_cell(ends)}" if ends else text, value, over)


def interval_cell(ends: Sequence[float] | None) -> str:
    """An interval as it stands in a table."""
    return NONE if not ends else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def _class_cell(system: SystemMetrics, name: str, metric: str) -> MetricCell:
    entry = _entry(system, name)
    if entry is None:
        return MetricCell(LACKING)
    if entry.get(metric) is None:
        return MetricCell(NONE if entry["support"] else ABSENT)
    value = entry[metric]
    return MetricCell(with_sd(value, entry.get(f"{metric}_sd")), value)


def _entry(system: SystemMetrics, name: str) -> dict[str, Any] | None:
    return next((e for e in system["per_class"] if e["abbreviation"] == name), None)


def _table(
    caption: str,
    groups: Groups,
    first: str,
    rows: Sequence[tuple[str, Callable[[SystemMetrics], MetricCell]]],
    rules: frozenset[int] = frozenset(),
) -> Table:
    """A group of two is the published and the measured system, with the difference."""
    titles = {1: ("",), 2: ("published", "measured", "difference")}
    columns, body = [first], []
    for _, systems in groups:
        columns += titles[len(systems)]
    for title, cell in rows:
        texts = [title]
        for _, systems in groups:
            cells = [cell(system) for system in systems]
            texts += [shown.text for shown in cells]
            if len(cells) == 2:
                texts.append(_difference(*cells))
        body.append(tuple(texts))
    widths = tuple((title, len(titles[len(systems)])) for title, systems in groups)
    return Table(caption, widths, tuple(columns), tuple(body), rules)


def _difference(published: MetricCell, measured: MetricCell) -> str:
    if None in (published.value, measured.value) or published.over != measured.over:
        return NONE
    return f"{measured.value - published.value:+.3f}"
