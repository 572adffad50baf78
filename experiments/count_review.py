"""Cases of real cells through count, review and recount, beside their true shares.

    python -m experiments.count_review --run=RUN --data=FOLDER

RUN is a finished run with validation cells, FOLDER its images. Each case is drawn from
the test part, so that no cell of it trained or calibrated the network. The reviewer is
a script in Chromium: in the order of the review page, it gives the first third of the
cells of each class their true labels, confirms those that are right, and saves the
corrections, which the second count reads. Writes cases.json and RESULT.md into
experiments/2026-11-27-count-review (or --out=FOLDER).
"""

import argparse
import csv
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.console.command import run_command
from bmjax.count.__main__ import main as count
from bmjax.count.countable import DEFAULT_TABLE
from bmjax.errors import ConfigError, DataError
from bmjax.files import read_json_object, write_csv, write_json, write_whole
from experiments.browser import (
    KEYS,
    SAVE,
    drive_page,
    figures_of_count,
    find_browser,
    text_of,
)

_FOLDER = Path(__file__).parent / "2026-11-27-count-review"
_SHARE = 3  # of each class, one cell in so many is reviewed
# For each [position, predicted class, true class]: confirms it, or chooses its class.
_REVIEW = """
who.value = "script"; who.dispatchEvent(new Event("input"));
const all = document.getElementById("all");
const nameOf = (option) => option.textContent.split(",")[0];
for (const [cell, predicted, label] of %s) {
  document.querySelector(`button.cell[data-cell="${cell}"]`).click();
  if (predicted === label) { press("Enter"); continue; }
  press("l");
  all.value = [...all.options].find((option) => nameOf(option) === label).value;
  all.dispatchEvent(new Event("change", { bubbles: true }));
}
document.getElementById("save").click();
"""
_CELL = re.compile(r'<button[^>]*class="cell[^>]*data-cell="(\d+)"')
# In acute promyelocytic leukemia promyelocytes are counted with the blasts (WHO;
# Vardiman et al. 2009): a case with a share near a threshold that real cells can fill.
_EQUIVALENTS = {"PMO": "blasts"}
# Cells of each class; as many as the test part has, which caps a case's size.
CASES: dict[str, dict[str, int]] = {
    "as the release's cells": {},  # 500 of the test part, drawn at random
    "19 % promyelocytes": {
        "PMO": 68, "NGS": 110, "EBO": 85, "LYT": 60, "NGB": 15, "MYB": 10, "MON": 10,
    },
    "many lymphocytes": {
        "LYT": 138, "NGS": 100, "EBO": 60, "EOS": 20, "MYB": 16, "MMZ": 10, "PMO": 10,
    },
}  # fmt: skip


class DrivenReview(NamedTuple):
    """What was done on a review page.

    Attributes:
        corrections: the file that the page saved.
        cells: number of them that were reviewed.
        figures: of the count, by their places on the page after the review.
    """

    corrections: Path
    cells: int
    figures: dict[str, str]


def draw_case(
    cells: list[tuple[str, str]], wanted: dict[str, int], seed: int
) -> list[tuple[str, str]]:
    """Choose (path, label) pairs: so many of each class, or 500 at random.

    Raises:
        DataError: a class has fewer.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    if not wanted:
        rows = random.permutation(len(cells))[:500]
        return [cells[row] for row in sorted(rows)]
    chosen = []
    for name, number in wanted.items():
        members = [cell for cell in cells if cell[1] == name]
        if len(members) < number:
            raise DataError(
                f"the test part has {len(members)} cells of {name}, {number} are wanted"
            )
        chosen += [members[row] for row in random.permutation(len(members))[:number]]
    return chosen


def lay_out(chosen: list[tuple[str, str]], data: Path, case: Path) -> dict[str, str]:
    """Copy cells into two smears under names without their class; return the truth."""
    truth = {}
    for number, (path, label) in enumerate(chosen):
        name = f"smear {number % 2 + 1}/{number:04d}{Path(path).suffix}"
        (case / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / path, case / name)
        truth[name] = label
    return truth


def cells_to_review(out: Path, predicted: list[str]) -> list[int]:
    """Positions in cells.csv of the first third of each class, in the page's order."""
    by_class: dict[str, list[int]] = {}
    for position in map(int, _CELL.findall((out / "case.html").read_text("utf-8"))):
        by_class.setdefault(predicted[position], []).append(position)
    return [
        position
        for positions in by_class.values()
        for position in positions[: -(-len(positions) // _SHARE)]
    ]


def drive_review(
    out: Path, truth: dict[str, str], browser: str, scratch: Path
) -> DrivenReview:
    """Give cells their true labels on the review page, and save the corrections."""
    with open(out / "cells.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    seen = cells_to_review(out, [row["predicted"] for row in rows])
    labels = [
        [position, rows[position]["predicted"], truth[rows[position]["path"]]]
        for position in seen
    ]
    script = KEYS + SAVE + _REVIEW % json.dumps(labels)
    document = drive_page(browser, out / "case.html", scratch / "profile", script)
    saved = scratch / "corrections.csv"
    saved.write_text(text_of(document, "saved") + "\n", "utf-8")
    return DrivenReview(saved, len(seen), figures_of_count(document))


def go_through(
    name: str,
    run: Path,
    data: Path,
    cells: list[tuple[str, str]],
    seed: int,
    browser: str,
) -> dict[str, Any]:
    """Count a case, review it, count it again.

    Raises:
        DataError: the page shows another count after the review than the second count.
    """
    with tempfile.TemporaryDirectory() as folder:
        case, out = Path(folder) / "case", Path(folder) / "count"
        truth = lay_out(draw_case(cells, CASES[name], seed), data, case)
        table = Path(folder) / "countable.csv"
        classes = sorted({label for _, label in cells})
        write_countable(table, classes)
        asked = [str(case), f"--run={run}", f"--out={out}", f"--countable={table}"]
        _check(count([*asked, "--count-foreign"]))
        before = read_json_object(out / "count.json")
        reviewed = drive_review(out, truth, browser, Path(folder))
        corrections = f"--corrections={reviewed.corrections}"
        _check(count([*asked, "--count-foreign", corrections, "--force"]))
        after = read_json_object(out / "count.json")
        counted_again = figures_of_count((out / "case.html").read_text("utf-8"))
        if counted_again != reviewed.figures:
            raise DataError(f"{name}: the page after the review shows another count")
    both = zip(before["classes"], after["classes"], strict=True)
    pairs = [pair for pair in both if pair[0]["percent"] is not None]
    counted = {row["class"] for row, _ in pairs}
    true = Counter(label for label in truth.values() if label in counted)
    return {
        "case": name,
        "cells": len(truth),
        "reviewed": reviewed.cells,
        "countable": before["countable"],
        "countable_true": true.total(),
        "classes": [
            _row(row, again_row, 100 * true[row["class"]] / true.total())
            for row, again_row in pairs
        ],
        "verdicts": [
            {
                "cells": row["cells"],
                "percent": row["percent"],
                "named": row["verdict"],
                "corrected": row["corrected_verdict"],
                "reviewed": again_row["verdict"],
            }
            for row, again_row in zip(
                before["verdicts"], after["verdicts"], strict=True
            )
        ],
    }


def write_countable(path: Path, classes: list[str]) -> None:
    """The table of countable classes with promyelocytes among the blasts."""
    with open(DEFAULT_TABLE, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["class"] in classes]
    for row in rows:
        row["cells"] = _EQUIVALENTS.get(row["class"], row["cells"])
    write_csv(path, tuple(rows[0]), [tuple(row.values()) for row in rows])


def _row(row: dict[str, Any], again: dict[str, Any], true: float) -> dict[str, Any]:
    return {
        "class": row["class"],
        "true": true,
        "named": row["percent"],
        "interval": row["interval"],
        "corrected": row["corrected"],
        "corrected_interval": row["corrected_interval"],
        "reviewed": again["percent"],
        "reviewed_interval": again["interval"],
    }


def _check(code: int) -> None:
    if code:
        raise DataError(f"bmjax count ended with exit code {code}")


def cases_page(found: list[dict[str, Any]]) -> str:
    """The result as a page of Markdown."""
    lines = [
        "# Cases of real cells, counted, reviewed and counted again",
        "",
        "Written by `python -m experiments.count_review`. Percent of the cells that "
        "count; an interval that does not hold the true share, to a tenth of a "
        "percent, is marked with *.",
    ]
    for one in found:
        rows = one["classes"]
        lines += [
            "",
            f"## {one['case']}",
            "",
            f"{one['cells']} cells, of which {one['countable_true']} count; "
            f"{one['reviewed']} reviewed.",
            "",
            "| class | true | named | 95 % | corrected | 95 % | reviewed | 95 % |",
            "| --- | ---: | ---: | --- | ---: | --- | ---: | --- |",
        ]
        lines += [
            f"| {row['class']} | {row['true']:.1f} | "
            + " | ".join(
                f"{_percent(row[key])} | {_ends(row[ends], row['true'])}"
                for key, ends in (
                    ("named", "interval"),
                    ("corrected", "corrected_interval"),
                    ("reviewed", "reviewed_interval"),
                )
            )
            + " |"
            for row in rows
        ]
        errors = [
            f"{name} {_mean_error(rows, key):.1f}"
            for name, key in (
                ("named", "named"),
                ("corrected", "corrected"),
                ("reviewed", "reviewed"),
            )
            if _mean_error(rows, key) is not None
        ]
        lines += ["", f"Mean distance from the true share: {', '.join(errors)} points."]
        lines += [
            "",
            "| threshold | named | corrected | reviewed |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {row['cells']}, {row['percent']:g} % | {row['named']} | "
            f"{row['corrected'] or '-'} | {row['reviewed']} |"
            for row in one["verdicts"]
        ]
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _ends(ends: list[float] | None, true: float) -> str:
    if ends is None:
        return "-"
    held = round(ends[0], 1) <= round(true, 1) <= round(ends[1], 1)
    missed = "" if held else " *"
    return f"{ends[0]:.1f} to {ends[1]:.1f}{missed}"


def _mean_error(rows: list[dict[str, Any]], key: str) -> float | None:
    """Over the classes that both have, in points of a percent."""
    pairs = [(row[key], row["true"]) for row in rows if row[key] is not None]
    return float(np.mean([abs(a - b) for a, b in pairs])) if pairs else None


def main(arguments: list[str] | None = None) -> int:
    """Make the cases, write what came of them, and return an exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=_FOLDER)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    return run_command(lambda: _write_cases(options))


def _write_cases(options: argparse.Namespace) -> None:
    browser = find_browser()
    if browser is None:
        raise ConfigError("the review needs Chromium; install it, on Debian chromium")
    with open(options.run / "predictions.csv", newline="") as file:
        cells = [(row["path"], row["label"]) for row in csv.DictReader(file)]
    found = [
        go_through(name, options.run, options.data, cells, options.seed, browser)
        for name in CASES
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "cases.json", {"seed": options.seed, "cases": found})
    write_whole(options.out / "RESULT.md", cases_page(found))


if __name__ == "__main__":
    sys.exit(main())
