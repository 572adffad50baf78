"""Measured beside published, in the paper's order; and every figure in a line."""

from typing import Any

from bmjax.data.matek import class_name
from bmjax.evals.confusion import AVERAGE_TITLES
from bmjax.report.table_formats import Table
from bmjax.report.words import NONE
from experiments.tables import published
from experiments.tables.document import PAPER_AVERAGES
from experiments.tables.layout import ABSENT, TITLES, with_interval

LACKING = "not in data"
LINE = ("kind", "system", "class", "images", "figure", "value", "sd", "low", "high")
_THREE = ("published", "measured", "difference")


def compared(measured: dict[str, Any], paper: dict[str, Any]) -> list[Table]:
    """Published, measured and their difference: a table for each figure.

    Rows are the paper's classes in its order, then those that only the data have. The
    baseline, which is not run, has its published column alone.
    """
    figures = ("f1",) if paper["table"] == "table2" else tuple(TITLES)
    theirs = {key: _by_class(system) for key, system in paper["systems"].items()}
    ours = {key: _by_class(system) for key, system in measured["systems"].items()}
    own = [c for found in ours.values() for c in found if c not in published.NAMES]
    classes = (*published.NAMES, *dict.fromkeys(own))
    groups, columns = [], ["Class"]
    for key, system in paper["systems"].items():
        shown = _THREE if key in ours else _THREE[:1]
        groups.append((system["name"], len(shown)))
        columns += shown
    tables = []
    for figure in figures:
        rows = []
        for cell in classes:
            row = [class_name(cell)]
            for key in paper["systems"]:
                known = theirs[key].get(cell)
                row.append(_mean_sd(known, figure))
                if key in ours:
                    row += _measured(ours[key].get(cell), known, figure)
            rows.append(tuple(row))
        rows.append(_average_row(figure, measured, paper))
        caption = f"{measured['title'].partition(':')[0]}: {TITLES[figure]}"
        rule = frozenset([len(classes)])
        tables.append(Table(caption, tuple(groups), tuple(columns), tuple(rows), rule))
    return tables


def averages_compared(measured: dict[str, Any], paper: dict[str, Any]) -> Table:
    """Averages of the systems that were run: published, measured, difference."""
    rows = []
    for average in PAPER_AVERAGES:
        row = [AVERAGE_TITLES[average]]
        for key, system in measured["systems"].items():
            known = paper["systems"][key].get(average)
            row += [
                _figure(known),
                with_interval(system, average),
                _difference(system[average], known)
                if comparable(system, paper["systems"][key], average)
                else NONE,
            ]
        rows.append(tuple(row))
    systems = measured["systems"].values()
    return Table(
        "Averages, the published ones worked out from counts; 95 % intervals",
        tuple((system["name"], len(_THREE)) for system in systems),
        ("", *(_THREE * len(systems))),
        tuple(rows),
    )


def comparable(one: dict[str, Any], other: dict[str, Any], average: str) -> bool:
    """Whether an average of two systems is over the same classes."""
    there = [
        {entry["abbreviation"] for entry in system["per_class"] if entry["images"]}
        for system in (one, other)
    ]
    same_rare = set(one["rare"]) == set(other["rare"])
    return there[0] == there[1] and (same_rare or average != "macro_f1_without_rare")


def in_lines(*documents: dict[str, Any]) -> list[tuple]:
    """Every figure of the documents on a line of its own, unrounded (`LINE`)."""
    lines = []
    for document in documents:
        for key, system in document["systems"].items():
            place = (document["kind"], key)
            for average in PAPER_AVERAGES:
                figure = (average, system[average], system["sd"].get(average))
                ends = system["intervals"].get(average) or (None, None)
                lines.append((*place, "", None, *figure, *ends))
            for entry in system["per_class"]:
                cell = (entry["abbreviation"], entry["images"])
                for name in (name for name in TITLES if name in entry):
                    figure = (name, entry[name], entry["sd"].get(name))
                    ends = entry["intervals"].get(name) or (None, None)
                    lines.append((*place, *cell, *figure, *ends))
    return lines


def _by_class(system: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["abbreviation"]: entry for entry in system["per_class"]}


def _measured(entry: dict | None, known: dict | None, figure: str) -> list[str]:
    if entry is None:
        return [LACKING, NONE]
    if entry[figure] is None:
        return [ABSENT, NONE]
    difference = _difference(entry[figure], (known or {}).get(figure))
    return [_mean_sd(entry, figure), difference]


def _average_row(
    figure: str, measured: dict[str, Any], paper: dict[str, Any]
) -> tuple[str, ...]:
    row, average = ["Avg"], f"macro_{figure}"
    for key, system in paper["systems"].items():
        row.append(_figure(system[average]))
        if key in measured["systems"]:
            found = measured["systems"][key]
            entry = {figure: found[average], "sd": {figure: found["sd"].get(average)}}
            difference = _difference(found[average], system[average])
            alike = comparable(found, system, average)
            row += [_mean_sd(entry, figure), difference if alike else NONE]
    return tuple(row)


def _mean_sd(entry: dict[str, Any] | None, figure: str) -> str:
    if not entry or entry.get(figure) is None:
        return NONE
    sd = entry["sd"].get(figure)
    return _figure(entry[figure]) + (f" ± {sd:.3f}" if sd is not None else "")


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _difference(found: float | None, known: float | None) -> str:
    return NONE if found is None or known is None else f"{found - known:+.3f}"
