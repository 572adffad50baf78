"""A table in all its forms: terminal, Markdown, LaTeX, CSV and JSON."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from bmjax.data.matek import RARE
from bmjax.errors import DONE
from bmjax.evals.class_counts import CLASS_METRICS
from bmjax.files import write_csv, write_json, write_whole
from bmjax.report.system_tables import (
    METRIC_TITLES,
    alone,
    averages_table,
    class_table,
    correct_table,
)
from bmjax.report.table_formats import Table, latex_table, markdown_table, text_table
from experiments.tables.paper import PAPER_AVERAGES, as_printed, published_table
from experiments.tables.plans import FIVE_FOLDS, TABLES, Job, Plan

LINE = ("kind", "system", "class", "images", "metric", "value", "sd", "low", "high")


def print_published(name: str, *, as_json: bool) -> int:
    """Print a published table and what is worked out from it."""
    document = published_table(name)
    if as_json:
        print(json.dumps(document, indent=1))
        return DONE
    for table in (*as_printed(name), worked_out(document), _correct(document)):
        print(text_table(table), end="\n\n")
    print(_wrapped(_below(document)))
    return DONE


def worked_out(document: dict[str, Any]) -> Table:
    """Averages of a document's systems with their intervals, ours."""
    return averages_table(
        "Averages worked out from the counts, with 95 % intervals",
        alone(list(document["systems"].values())),
        PAPER_AVERAGES,
    )


def write_table(plan: Plan, jobs: Sequence[Job], *, as_json: bool) -> int:
    """Write a table of finished runs into the workdir and print it.

    Raises:
        DataError: of `measured_table`; nothing is written then.
    """
    from experiments.tables.measured import measured_table

    paper, measured = published_table(plan.table), measured_table(plan, jobs)
    tables = side_by_side(measured, paper)
    below = _below(measured, paper)
    whole = {**measured, "published": paper}
    base = plan.workdir / stem(plan)
    head = [measured["title"], *measured["about"]]
    pages = [f"# {head[0]}", *head[1:], *map(markdown_table, tables), "\n".join(below)]
    write_whole(base.with_suffix(".md"), "\n\n".join(pages) + "\n")
    comments = [f"% {line}" for line in ("needs the package booktabs", *head)]
    latex = "\n\n".join(map(latex_table, tables))
    write_whole(base.with_suffix(".tex"), "\n".join([*comments, latex]) + "\n")
    write_csv(base.with_suffix(".csv"), LINE, in_lines(paper, measured))
    write_json(base.with_suffix(".json"), whole)
    if as_json:
        print(json.dumps(whole, indent=1))
        return DONE
    print(_wrapped([head[0], "", *head[1:]]), end="\n\n")
    for table in tables:
        print(text_table(table), end="\n\n")
    print(_wrapped(below))
    print(f"\n{base}.md, .csv, .tex, .json")
    return DONE


def side_by_side(measured: dict[str, Any], paper: dict[str, Any]) -> list[Table]:
    """Published, measured and their difference: a table for each metric, and averages.

    Rows are the paper's classes in its order, then those that only the data have. The
    baseline, which is not run, has its published column alone.
    """
    known = [paper["systems"], measured["systems"]]
    groups = [
        (system["name"], [of[key] for of in known if key in of])
        for key, system in paper["systems"].items()
    ]
    own = [name for system in known[1].values() for name in system["classes"]]
    classes = list(dict.fromkeys([*paper["systems"]["baseline"]["classes"], *own]))
    title = measured["title"].partition(":")[0]
    metrics = ("f1",) if paper["table"] == "table2" else CLASS_METRICS
    return [
        *(
            class_table(f"{title}: {METRIC_TITLES[metric]}", groups, metric, classes)
            for metric in metrics
        ),
        averages_table(
            "Averages, the published ones worked out from counts; 95 % intervals",
            groups,
            PAPER_AVERAGES,
        ),
        _correct(measured),
    ]


def _correct(document: dict[str, Any]) -> Table:
    systems = [
        system
        for system in document["systems"].values()
        if any(entry["correct"] is not None for entry in system["per_class"])
    ]
    caption = "Correct of each class's images, with exact 95 % intervals of the recall"
    return correct_table(caption, alone(systems), systems[0]["classes"])


def in_lines(*documents: dict[str, Any]) -> list[tuple]:
    """Every metric of the documents on a line of its own, unrounded (`LINE`)."""
    lines = []
    for document in documents:
        for key, system in document["systems"].items():
            place = (document["kind"], key)
            for name in PAPER_AVERAGES:
                value = (name, system.get(name), system["sd"].get(name))
                ends = system["intervals"].get(name) or (None, None)
                lines.append((*place, "", None, *value, *ends))
            for entry in system["per_class"]:
                cell = (entry["abbreviation"], entry["support"])
                for name in (name for name in CLASS_METRICS if name in entry):
                    value = (name, entry[name], entry.get(f"{name}_sd"))
                    ends = entry.get(f"{name}_interval") or (None, None)
                    lines.append((*place, *cell, *value, *ends))
    return lines


def _wrapped(lines: Sequence[str]) -> str:
    """Lines for a terminal."""
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines)


def _below(*documents: dict[str, Any]) -> list[str]:
    """What stands below a table: rankings, differences, notes, sources."""
    lines, pairs, notes, about = [], [], [], []
    for document in documents:
        kind = document["kind"].capitalize()
        lines += [f"* {kind}: {entry['sentence']}" for entry in document["decided_by"]]
        for entry in document.get("paired", ()):
            pairs += [f"* {sentence}" for sentence in entry["sentences"]]
        notes += [f"* {note}" for note in document["notes"]]
        systems = document["systems"].values()
        rare = dict.fromkeys(cell for system in systems for cell in system["rare"])
        part = "the authors' 80/20" if kind == "Published" else "every"
        notes.append(
            f"* {kind}, rare (under {RARE} cells in {part} test part): "
            f"{', '.join(rare) or 'none'}."
        )
        for system in systems:
            said = f"* {system['name']}, {system['protocol']} ({system['source']})."
            about.append(" ".join([said, *system["notes"]]))
    if len(documents) > 1:
        notes.append(
            "* A difference of averages is shown where both are over the same classes."
        )
    if pairs:
        pairs = [
            "",
            "Differences on the same test images, with 95 % intervals",
            "",
            *pairs,
        ]
    notes = list(dict.fromkeys([*notes, *about]))
    return ["What decides the rankings", "", *lines, *pairs, "", "Notes", "", *notes]


def stem(plan: Plan) -> str:
    """The name of a plan's files: kinds, folds and seeds are never mixed in one."""
    name = [plan.table]
    if plan.kind != "as_written":
        name.append(plan.kind)
    if any(not system.labels for system in TABLES[plan.table].values()):
        name.append(f"pretrained_on_{plan.pretrain_on}")
    default = (0, 1, 2, 3, 4) if plan.table in FIVE_FOLDS else ()
    if plan.folds != default:
        name.append("folds" + "".join(map(str, plan.folds)))
    if plan.seeds != (0,):
        name.append("seeds" + "_".join(map(str, plan.seeds)))
    return "-".join(name)
