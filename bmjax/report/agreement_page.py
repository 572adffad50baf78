"""The page on which two readers' counts are compared, without network or script."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmjax.report.agreement_plots import difference_plot, line_through
from bmjax.report.render import render, write_page
from bmjax.report.words import NONE, count, full_name

_HEAD = ("Class", "A %", "B %", "Bias", "Limits of agreement", "Slope", "Intercept")
_FEW_HEAD = (*_HEAD[:3], "B minus A")  # of too few cases for limits
_DRAWN = 12  # classes with plots, those with the largest shares; ours


def write_agreement(out: Path, found: dict[str, Any]) -> Path:
    """Write index.html.

    Args:
        out: its folder.
        found: of `count.counts_agree`.

    Raises:
        DataError: it cannot be written there.
    """
    contents = agreement_contents(found)
    return write_page(out / "index.html", render("agreement.html", contents))


def agreement_contents(found: dict[str, Any]) -> dict[str, Any]:
    """What the template shows; `found` is that of `write_agreement`."""
    same = found["same_cells"]
    head, *rows = agreement_rows(found)
    return {
        "first": found["first"],
        "second": found["second"],
        "cases": count(len(found["cases"])),
        "cells": list(map(count, found["cells"])),
        "notes": found["notes"],
        "head": head,
        "rows": [(full_name(row[0]), row[0], row[1:]) for row in rows],
        "few": head == [*_FEW_HEAD],
        "reasons": _reasons(found["classes"]),
        "tiles": _tiles(found),
        "same": same
        and {
            "sentence": same_cells_sentence(same),
            "labels": same["labels"],
            "rows": _same_rows(same),
        },
        "plots": _plots(found),
        "drawn": _DRAWN,
    }


def agreement_rows(found: dict[str, Any]) -> list[list[str]]:
    """The head, and a row of texts for each class and over all, as a table has them."""
    means = [
        (row["class"], *map(_mean, row["percent"]), row) for row in found["classes"]
    ]
    if not any(row["limits"] for row in found["classes"]):
        few = [
            [name, f"{first:.1f}", f"{second:.1f}", _signed(second - first)]
            for name, first, second, _ in means
        ]
        return [[*_FEW_HEAD], *few]
    rows = [
        [name, f"{first:.1f}", f"{second:.1f}", *_texts(row)]
        for name, first, second, row in means
    ]
    if len(rows) > 1:
        # Classes of one case depend on each other: no interval is given over them.
        rows.append(["All classes", "", "", *_texts(found["all_classes"], ends=False)])
    return [[*_HEAD], *rows]


def same_cells_sentence(same: dict[str, Any]) -> str:
    """How two readers label the same cells."""
    low, high = (f"{100 * end:.1f}" for end in same["observed_interval"])
    sentence = (
        f"{count(same['cells'])} cells were read by both: {count(same['alike'])} have "
        f"one label ({100 * same['alike'] / same['cells']:.1f} %, {low} to {high})"
    )
    if same["kappa"] is None:
        return f"{sentence}; kappa is not defined for one class alone."
    between = same["kappa_interval"]
    ends = f" ({_interval(between)})" if between else ", which has no interval"
    return f"{sentence}; Cohen's kappa is {same['kappa']:.2f}{ends}."


def _interval(ends: Sequence[float]) -> str:
    low, high = (f"{end:.2f}" for end in ends)
    return f"{low} to {high}"


def _texts(row: dict[str, Any], *, ends: bool = True) -> list[str]:
    limits, line = row["limits"], row["line"]
    texts = [NONE] * 4
    if limits:
        texts[0] = _signed(limits["bias"])
        texts[1] = f"{_signed(limits['low'])} to {_signed(limits['high'])}"
        if ends:
            texts[0] += _ends(limits["bias_interval"], _signed)
    if line:
        texts[2] = f"{line['slope']:.2f}"
        texts[3] = _signed(line["intercept"])
        if ends:
            texts[2] += _ends(line["slope_interval"], "{:.2f}".format)
            texts[3] += _ends(line["intercept_interval"], _signed)
    return texts


def _ends(pair: Sequence[float | None], write: Any) -> str:
    low, high = pair
    texts = (
        "-\N{INFINITY}" if low is None else write(low),
        "\N{INFINITY}" if high is None else write(high),
    )
    return f" ({texts[0]} to {texts[1]})".replace("-", "\N{MINUS SIGN}")


def _signed(value: float) -> str:
    """A difference with one decimal and its sign; 0.0 has none."""
    text = f"{value:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "\N{MINUS SIGN}")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _reasons(classes: Sequence[dict[str, Any]]) -> list[str]:
    """Why classes have no line, one sentence for each reason."""
    by_reason: dict[str, list[str]] = {}
    for row in classes:
        if row["reason"]:
            by_reason.setdefault(row["reason"], []).append(row["class"])
    return [
        f"No line ({reason}): {', '.join(names)}."
        for reason, names in by_reason.items()
    ]


def _tiles(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What stands at the top: label, value, what it is."""
    tiles = [("Cases", count(len(found["cases"])), "")]
    if same := found["same_cells"]:
        alike = same["alike"] / same["cells"]
        low, high = (f"{100 * end:.1f}" for end in same["observed_interval"])
        tiles.append(
            ("Cells with one label", f"{100 * alike:.1f} %", f"{low} to {high}")
        )
        if same["kappa"] is not None:
            ends = same["kappa_interval"]
            text = _interval(ends) if ends else ""
            tiles.append(("Cohen's kappa", f"{same['kappa']:.2f}", text))
    known = [row for row in found["classes"] if row["limits"]]
    if known:
        worst = max(
            known, key=lambda row: max(-row["limits"]["low"], row["limits"]["high"])
        )
        text = _texts(worst)
        tiles.append(("Widest limits", worst["class"], text[1]))
        biased = max(known, key=lambda row: abs(row["limits"]["bias"]))
        value = _signed(biased["limits"]["bias"])
        tiles.append(("Largest bias", biased["class"], value))
    return tiles


def _same_rows(same: dict[str, Any]) -> list[dict[str, Any]]:
    """The confusion of the same cells, deeper where a row has more."""
    rows = []
    for i, (label, numbers) in enumerate(
        zip(same["labels"], same["table"], strict=True)
    ):
        total = sum(numbers)
        cells = [
            {
                "count": number,
                "kind": ("correct" if i == j else "wrong") if number else "zero",
                "depth": 0.15 + 0.85 * number / total if number else 0.0,
                "title": f"{label} by A, {other} by B: {count(number)}",
            }
            for j, (other, number) in enumerate(
                zip(same["labels"], numbers, strict=True)
            )
        ]
        rows.append({"label": label, "cells": cells, "total": count(total)})
    return rows


def _plots(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Two drawings for all classes together, and for each class with limits."""
    from markupsafe import Markup

    shown = [row for row in found["classes"] if row["limits"]]
    pooled = [
        [value for row in found["classes"] for value in row["percent"][reader]]
        for reader in (0, 1)
    ]
    entries = [(row["class"], row["percent"], row) for row in shown[:_DRAWN]]
    if len(found["classes"]) > 1 and found["all_classes"]["limits"]:
        entries.insert(0, ("All classes", pooled, found["all_classes"]))
    names = (found["first"], found["second"])
    return [
        {
            "label": label,
            "name": full_name(label),
            "line": Markup(line_through(shares, row["line"], names, label)),
            "difference": Markup(
                difference_plot(
                    shares, row["limits"], label, intervals=row in found["classes"]
                )
            ),
        }
        for label, shares, row in entries
    ]
