"""What verification found, for people (text) and for programs (JSON).

File names are hostile until shown otherwise: whatever a terminal, a table or a web page
could take for more than a name is written as an escape.
"""

import json
import platform
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

import bmjax
from bmjax.console.escape import escaped
from bmjax.data.verify.duplicates import Group
from bmjax.data.verify.kinds import FINDING_KINDS, Weight
from bmjax.data.verify.release import COUNTS
from bmjax.data.verify.verify_report import ClassCount, Report

REPORT_FORMAT = 1  # of the JSON; grows when a key changes its meaning
_EXAMPLES = 3  # of each kind, in the text
_CLASSES = 60  # at most, in the text
_TWINS = 10  # paths of one group, in the JSON
_RUNS = 100  # runs of missing numbers, in the JSON
_ITEMS = 10_000  # of one kind, in the JSON
_PART = (
    "More than half of the release is missing. For data of your own in folders of its\n"
    "names give --own; for a part of the release, --accept=count."
)


def summarize_report(report: Report) -> str:
    """The summary to read: counts, then what was found, worst first, and a verdict."""
    lines = [_headline(report), "", *_class_table(report)]
    counts = report.counts()
    order = list(FINDING_KINDS)
    kinds = sorted(
        counts, key=lambda k: (FINDING_KINDS[k].weight, -counts[k], order.index(k))
    )
    parts: dict[str, list[str]] = {"Problems": [], "Suspicions": [], "Notes": []}
    for kind in kinds:
        suspicion = FINDING_KINDS[kind].weight is Weight.SUSPICION
        part = "Suspicions" if suspicion else "Problems"
        parts[part if report.is_problem(kind) else "Notes"].append(kind)
    wide = max((len(kind) for kind in kinds), default=0)
    for title, members in parts.items():
        if members:
            lines += ["", title]
        for kind in members:
            lines.append(
                f"  {kind:<{wide}} {counts[kind]:>7,}  {FINDING_KINDS[kind].meaning}"
            )
            lines += [f"      {example}" for example in _examples(report, kind)]
    half = report.is_release and 2 * len(report.paths) < sum(COUNTS.values())
    if half and report.is_problem("count"):
        lines += ["", _PART]
    files = _many(report.files, "file")
    problems = f"{_many(report.problems, 'problem')} in {files}"
    return "\n".join([*lines, "", problems if report.problems else f"clean: {files}"])


def _many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _headline(report: Report) -> str:
    what = "held against the release" if report.is_release else "own data"
    classes = sum(count.images > 0 for count in report.classes.values())
    size = report.total_bytes / 1e6
    amount = f"{size / 1e3:,.1f} GB" if size >= 1e3 else f"{size:,.1f} MB"
    return (
        f"{escaped(str(report.root))}: {what}; {_many(len(report.paths), 'image')}, "
        f"{_many(classes, 'class', 'classes')}, {amount}"
    )


def _class_table(report: Report) -> Iterator[str]:
    rows = list(report.classes.items())
    wide = max([5, *(len(escaped(name)) for name, _ in rows[:_CLASSES])])
    head = f"{'class':<{wide}} {'images':>9}"
    yield head + (f" {'Table 1':>9} {'difference':>11}" if report.is_release else "")
    for name, count in rows[:_CLASSES]:
        yield f"{escaped(name):<{wide}} {_counts(count)}"
    if len(rows) > _CLASSES:
        yield f"... and {len(rows) - _CLASSES} more classes (--json has them)"
    yield f"{'total':<{wide}} {_counts(_total(report))}"


def _counts(count: ClassCount) -> str:
    if count.expected is None:
        return f"{count.images:>9,}"
    difference = count.images - count.expected
    signed = f"{difference:+,}" if difference else "0"
    return f"{count.images:>9,} {count.expected:>9,} {signed:>11}"


def _total(report: Report) -> ClassCount:
    counts = report.classes.values()
    expected = [count.expected for count in counts if count.expected is not None]
    return ClassCount(
        sum(count.images for count in counts),
        sum(expected) if report.is_release else None,
    )


def _examples(report: Report, kind: str) -> Iterator[str]:
    items = _items(report, kind)
    for item in items[:_EXAMPLES]:
        between = " " if "paths" in item else ": " if item["detail"] else ""
        yield f"{item['path']}{between}{item['detail']}"
    if len(items) > _EXAMPLES:
        what = "groups" if "paths" in items[0] else ""
        yield f"... and {len(items) - _EXAMPLES:,} more {what}".rstrip()


def _items(report: Report, kind: str) -> list[dict[str, Any]]:
    groups = [group for group in report.duplicates if group.kind == kind]
    if groups:
        return [_group_item(report, group) for group in groups]
    return [
        {"path": escaped(finding.path), "detail": escaped(finding.detail)}
        for finding in sorted(report.findings, key=lambda finding: finding.path)
        if finding.kind == kind
    ]


def _group_item(report: Report, group: Group) -> dict[str, Any]:
    count = len(group.members)
    paths = [escaped(report.paths[position]) for position in group.members[:_TWINS]]
    more = f" and {count - 2:,} more" if count > 2 else ""
    return {
        "path": paths[0],
        "detail": f"and {paths[1]}{more}",
        "files": count,
        "paths": paths,
    }


def to_json(report: Report) -> str:
    r"""The report to keep, as JSON text.

    Keys: `format` (1), `bmjax` and `versions`, `root` (its name alone), `inside`,
    `release` (whether it was held against it), `clean`, `problems`, `files`, `images`,
    `bytes`, `fingerprint` (as a run's `results.json` has it), `sizes` ("250x250":
    number), `classes` (each `images`, `expected`, `difference`, `missing`: runs of
    numbers, at most 100), `total`, and `kinds`, all of them: `count`, `problem`
    (whether it counts), `meaning`, `training` (what it does with such a file), and
    `items`, each with `path` below the root and `detail`; of duplicates an item is a
    group with `files`, their number, and the first ten `paths`; a kind has at most
    10,000 items, and `left_out` says how many more there are.
    Names are plain characters: a backslash begins an escape, and `<`, `>` and `&` are
    written \u003c, \u003e and \u0026.
    """
    counts = report.counts()
    content = {
        "format": REPORT_FORMAT,
        "bmjax": bmjax.__version__,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
        "root": escaped(report.root.resolve().name),
        "inside": escaped(report.inside),
        "release": report.is_release,
        "clean": not report.problems,
        "problems": report.problems,
        "files": report.files,
        "images": len(report.paths),
        "bytes": report.total_bytes,
        "fingerprint": report.fingerprint,
        "sizes": {f"{w}x{h}": n for (w, h), n in sorted(report.sizes.items())},
        "classes": {
            escaped(name): _class_entry(count) for name, count in report.classes.items()
        },
        "total": _class_entry(_total(report)),
        "kinds": {
            name: {
                "count": counts[name],
                "problem": report.is_problem(name),
                "meaning": kind.meaning,
                "training": kind.training,
                **_first(_items(report, name)),
            }
            for name, kind in FINDING_KINDS.items()
        },
    }
    text = json.dumps(content, indent=2)
    for character in "<>&":  # they stand inside strings alone
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"


def _first(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": items[:_ITEMS], "left_out": max(0, len(items) - _ITEMS)}


def _class_entry(count: ClassCount) -> dict[str, Any]:
    if count.expected is None:
        return {"images": count.images, "expected": None, "difference": None}
    return {
        "images": count.images,
        "expected": count.expected,
        "difference": count.images - count.expected,
        "missing": list(count.missing[:_RUNS]),
    }
