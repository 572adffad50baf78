"""The labels that are likely wrong, on one HTML page without network or script."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmjax.report.pictures import Album
from bmjax.report.render import render, write_page
from bmjax.report.words import count, full_name, score, shown_path

_SIDE = 144  # pixels of a picture, shown at two thirds of that
_NAMED = 3  # classes that a row of the table names


def write_noise_page(
    out: Path,
    stored: dict[str, Any],
    suspects: Sequence[tuple[str, str, str, float, int]],
    root: Path,
    *,
    pictures: int,
) -> Path:
    """Write index.html.

    Args:
        out: its folder.
        stored: the content of noise.json.
        suspects: (path, label, suggested, its probability, rank), those of a class by
            rank.
        root: folder of the images.
        pictures: that each class shows at most.

    Raises:
        DataError: it cannot be written there.
    """
    contents = noise_contents(stored, suspects, root, pictures=pictures)
    return write_page(out / "index.html", render("noise.html", contents))


def noise_contents(
    stored: dict[str, Any],
    suspects: Sequence[tuple[str, str, str, float, int]],
    root: Path,
    *,
    pictures: int,
) -> dict[str, Any]:
    """What the template shows; the arguments are those of `write_noise_page`."""
    album = Album([root])
    sheets = []
    for entry in stored["classes"]:
        own = [row for row in suspects if row[1] == entry["class"]]
        if not own:
            continue
        cells = [
            {
                "file": shown_path(path),
                "name": path.rsplit("/", 1)[-1],
                "suggested": suggested,
                "probability": score(probability),
                "picture": album.picture(path, _SIDE),
            }
            for path, _, suggested, probability, _ in own[:pictures]
        ]
        sheets.append({"label": entry["class"], "number": len(own), "cells": cells})
    return {
        "images": count(stored["images"]),
        "wrong": count(stored["wrong"]),
        "share": _percent(stored["wrong"], stored["images"]),
        "agreement": f"{stored['agreement']:.1%}".replace("%", " %"),
        "notes": stored["notes"],
        "rows": [_row(entry) for entry in stored["classes"]],
        "sheets": sheets,
        "full": album.full,
        "pictures": pictures,
        "runs": [(run["name"], count(run["images"])) for run in stored["runs"]],
        "fingerprint": stored["data_fingerprint"],
        "copies": [
            [(shown_path(one["path"]), one["label"], one["run"]) for one in group]
            for group in stored["copies"]
        ],
    }


def _row(entry: dict[str, Any]) -> dict[str, str]:
    most = sorted(entry["truly"].items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "label": entry["class"],
        "name": full_name(entry["class"]),
        "images": count(entry["images"]),
        "threshold": score(entry["threshold"]),
        "wrong": count(entry["wrong"]),
        "share": _percent(entry["wrong"], entry["images"]),
        "truly": ", ".join(
            f"{name} {number:.0f}" for name, number in most[:_NAMED] if number >= 0.5
        ),
    }


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else score(None)
