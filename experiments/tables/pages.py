"""A measured table in all its forms: terminal, Markdown, LaTeX, CSV and JSON."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from bmjax.data.matek import RARE
from bmjax.errors import DONE
from bmjax.files import write_json, write_whole
from bmjax.report import table_formats
from experiments.tables.compare import LINE, averages_compared, compared, in_lines
from experiments.tables.derived import published_table
from experiments.tables.layout import found_cells
from experiments.tables.plans import FIVE_FOLDS, TABLES, Job, Plan


def write_table(plan: Plan, jobs: Sequence[Job], *, as_json: bool) -> int:
    """Write a table of finished runs into the workdir and print it.

    Raises:
        DataError: of `measured_table`; nothing is written then.
    """
    from experiments.tables.measured import measured_table

    paper, measured = published_table(plan.table), measured_table(plan, jobs)
    tables = [*compared(measured, paper), averages_compared(measured, paper)]
    tables.append(found_cells(measured))
    below = said_below(measured, paper)
    whole = {**measured, "published": paper}
    base = plan.workdir / stem(plan)
    pages = [
        f"# {measured['title']}",
        *measured["about"],
        *map(table_formats.markdown_table, tables),
        "\n".join(below),
    ]
    write_whole(base.with_suffix(".md"), "\n\n".join(pages) + "\n")
    made = "\n\n".join(map(table_formats.latex_table, tables))
    head = ["needs the package booktabs", measured["title"], *measured["about"]]
    commented = "\n".join(f"% {line}" for line in head)
    write_whole(base.with_suffix(".tex"), f"{commented}\n{made}\n")
    rows = in_lines(paper, measured)
    write_whole(base.with_suffix(".csv"), table_formats.csv_text(LINE, rows))
    write_json(base.with_suffix(".json"), whole)
    if as_json:
        print(json.dumps(whole, indent=1))
        return DONE
    print(wrapped([measured["title"], "", *measured["about"]]), end="\n\n")
    for table in tables:
        print(table_formats.text_table(table), end="\n\n")
    print(wrapped(below))
    print(f"\n{base}.md, .csv, .tex, .json")
    return DONE


def wrapped(lines: Sequence[str]) -> str:
    """Lines for a terminal."""
    return "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines)


def said_below(*documents: dict[str, Any]) -> list[str]:
    """What stands below a table: rankings, notes, sources."""
    lines = ["What decides the rankings", ""]
    for document in documents:
        lines += [
            f"* {document['kind'].capitalize()}: {entry['sentence']}"
            for entry in document["decided_by"]
        ]
    pairs = [entry for document in documents for entry in document.get("paired", ())]
    if pairs:
        lines += ["", "Differences on the same test images, with 95 % intervals", ""]
        lines += [f"* {entry['sentence']}" for entry in pairs]
    lines += ["", "Notes", ""]
    notes = [f"* {note}" for document in documents for note in document["notes"]]
    notes += [f"* {_said_of_rare(document)}" for document in documents]
    if len(documents) > 1:
        notes.append(
            "* A difference of averages is shown where both are over the same classes."
        )
    for document in documents:
        for system in document["systems"].values():
            about = f"* {system['name']}, {system['protocol']} ({system['source']})."
            notes.append(" ".join([about, *system["notes"]]))
    return lines + list(dict.fromkeys(notes))


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


def _said_of_rare(document: dict[str, Any]) -> str:
    systems = document["systems"].values()
    rare = dict.fromkeys(cell for system in systems for cell in system["rare"])
    kind = document["kind"]
    part = "the authors' 80/20" if kind == "published" else "every"
    named = ", ".join(rare) or "none"
    return (
        f"{kind.capitalize()}, rare (under {RARE} cells in {part} test part): {named}."
    )
