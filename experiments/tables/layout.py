"""The published tables as the paper prints them, and what their counts imply."""

from typing import Any

from bmjax.data.matek import class_name
from bmjax.evals.confusion import AVERAGE_TITLES
from bmjax.report.table_formats import Table
from bmjax.report.words import NONE
from experiments.tables import published
from experiments.tables.document import PAPER_AVERAGES

TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1-score"}
ABSENT = "absent"  # from the test part
_HEADS = {  # as the paper heads its columns
    "table2": {"baseline": "Baseline", "resnext50": "ResNeXt50"},
    "table3": {
        "baseline": "Baseline",
        "resnext50": "ResNeXt50",
        "resnext50_mixup": "ResNeXt50 + Mixup",
    },
    "table4": {"baseline": "Baseline", "swav": "SwAV+Lin.", "supcon": "SupCon"},
}


def as_printed(name: str) -> list[Table]:
    """The published table: Table 3 is two, precision above recall, as in the paper."""
    heads = _HEADS[name]
    number = name[-1]
    if name == "table2":
        keys = [f"{system}_f1" for system in heads]
        return [
            _printed(
                f"Table {number}, as published",
                ((TITLES["f1"], len(heads)),),
                tuple(heads.values()),
                keys,
                name,
            )
        ]
    if name == "table3":
        keys = [f"{system}_{kind}" for system in heads for kind in ("mean", "sd")]
        return [
            _printed(
                f"Table {number}, as published: {TITLES[figure]}",
                tuple((head, 2) for head in heads.values()),
                ("avg", "std") * len(heads),
                keys,
                name,
                figure,
            )
            for figure in ("precision", "recall")
        ]
    keys = [f"{system}_{figure}" for figure in TITLES for system in heads]
    return [
        _printed(
            f"Table {number}, as published",
            tuple((title, len(heads)) for title in TITLES.values()),
            tuple(heads.values()) * len(TITLES),
            keys,
            name,
        )
    ]


def _printed(
    caption: str,
    groups: tuple[tuple[str, int], ...],
    columns: tuple[str, ...],
    keys: list[str],
    name: str,
    figure: str | None = None,
) -> Table:
    found = {
        row["class"]: row
        for row in published.rows(name)
        if figure is None or row["figure"] == figure
    }
    rows = [
        (class_name(cell), *(found[cell][key] for key in keys))
        for cell in (*published.NAMES, published.AVERAGE)
    ]
    rule = frozenset([len(published.NAMES)])
    return Table(caption, groups, ("Class", *columns), tuple(rows), rule)


def worked_out(document: dict[str, Any]) -> Table:
    """Averages of a document's systems with their intervals, ours."""
    systems = document["systems"].values()
    rows = [
        (AVERAGE_TITLES[key], *(with_interval(system, key) for system in systems))
        for key in PAPER_AVERAGES
    ]
    return Table(
        "Averages worked out from the counts, with 95 % intervals",
        tuple((said(system), 1) for system in systems),
        ("",) * len(rows[0]),
        tuple(rows),
    )


def found_cells(document: dict[str, Any]) -> Table:
    """How many of each class's test cells were found, with exact intervals.

    Systems without counts are left out.
    """
    systems = [
        system
        for system in document["systems"].values()
        if any(entry["right"] is not None for entry in system["per_class"])
    ]
    rows = []
    for entries in zip(*(system["per_class"] for system in systems), strict=True):
        cells = []
        for entry in entries:
            cells += [_share(entry), interval_cell(entry["intervals"]["recall"])]
        rows.append((_label(entries[0]), *cells))
    return Table(
        "Cells found of each class, with exact 95 % intervals of the recall",
        tuple((said(system), 2) for system in systems),
        ("Class", *(("found", "interval") * len(systems))),
        tuple(rows),
    )


def with_interval(system: dict[str, Any], key: str) -> str:
    """An average with its deviation and interval, as far as they are known."""
    value = system[key]
    if value is None:
        value = system["published"].get(key)
        return NONE if value is None else f"{value:.2f} (in the text)"
    sd = system["sd"].get(key)
    shown = f"{value:.4f}" + (f" ± {sd:.4f}" if sd is not None else "")
    ends = system["intervals"].get(key)
    return f"{shown} {interval_cell(ends)}" if ends else shown


def interval_cell(ends: list[float] | None) -> str:
    """An interval as it stands in a table."""
    return NONE if not ends else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def said(system: dict[str, Any]) -> str:
    """A system's name, and whether its figures are approximate."""
    return system["name"] + (" (approximate)" if system["approximate"] else "")


def _label(entry: dict[str, Any]) -> str:
    short, name = entry["abbreviation"], entry["name"]
    return name if name == short else f"{short} {name}"


def _share(entry: dict[str, Any]) -> str:
    if not entry["images"]:
        return ABSENT
    return f"{entry['right']:,} / {entry['images']:,}"
