"""The labels that are likely wrong, on HTML pages on which a reader settles them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.matek import class_name
from bmjax.report.pictures import Album
from bmjax.report.review_pages import (
    Card,
    Review,
    Words,
    likely_classes,
    write_review,
)
from bmjax.report.words import count, full_name, score, shown_path

SUSPECTS_ON_A_PAGE = 1000  # ours: 5 MB of pictures
MOST_SUSPECTS = 20_000  # on all pages together, as many as of a case; ours
_SIDE = 96  # pixels of a picture on the page
_PICTURE = 112  # pixels that it has, shown whole where one cell is looked at
_PICTURE_BYTES = 20_000  # of a picture of noise alone, rounded up
_NAMED = 3  # classes that a row of the table names


class DoubtedLabel(NamedTuple):
    """An image whose label is likely wrong.

    Attributes:
        path: of the image, below the folder of classes.
        label: number of the class, after the corrections that the runs were given.
        filed: number of the class that the folder says.
        proposed: number of the most probable other class.
        probabilities: float [N].
        rank: among those of its label, from 1.
    """

    path: str
    label: int
    filed: int
    proposed: int
    probabilities: np.ndarray
    rank: int


def write_noise_page(
    path: Path,
    stored: dict[str, Any],
    suspects: Sequence[DoubtedLabel],
    root: Path,
    *,
    earlier: Sequence[tuple[str, str, str]] = (),
    pictures: int | None = None,
) -> list[Path]:
    """Write the page, and more of them where there are many suspects.

    Args:
        path: of the first page; the second of "index.html" is "index-2.html".
        stored: the content of noise.json.
        suspects: of all classes.
        root: folder of the images.
        earlier: (path, label, was) of the corrections that the runs were given; the
            saved table holds them too.
        pictures: that each class shows at most; None: all.

    Raises:
        DataError: a page cannot be written.
    """
    names = [entry["class"] for entry in stored["classes"]]
    shown = _shown(suspects, pictures)
    album = Album([root], most=_PICTURE_BYTES * len(shown))
    return write_review(
        path,
        "noise.html",
        range(len(shown)),
        lambda number: _card(shown[number], number, names, album),
        _review(shown, names, earlier, stored["data_fingerprint"]),
        _words(len(shown), len(suspects), len(earlier)),
        titles=[class_name(name) for name in names],
        contents={"suspects": count(len(shown)), **noise_contents(stored)},
        side=_SIDE,
        on_a_page=SUSPECTS_ON_A_PAGE,
    )


def noise_contents(stored: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of noise.json."""
    return {
        "images": count(stored["images"]),
        "wrong": count(stored["wrong"]),
        "share": _percent(stored["wrong"], stored["images"]),
        "agreement": f"{stored['agreement']:.1%}".replace("%", " %"),
        "notes": stored["notes"],
        "rows": [_row(entry) for entry in stored["classes"]],
        "runs": [(run["name"], count(run["images"])) for run in stored["runs"]],
        "fingerprint": stored["data_fingerprint"],
        "copies": [
            [(shown_path(one["path"]), one["label"], one["run"]) for one in group]
            for group in stored["copies"]
        ],
    }


def _shown(
    suspects: Sequence[DoubtedLabel], pictures: int | None
) -> list[DoubtedLabel]:
    """Those on the pages: by label, and of each the most doubtful first."""
    of_class = [one for one in suspects if pictures is None or one.rank <= pictures]
    first = sorted(of_class, key=lambda one: one.rank)[:MOST_SUSPECTS]
    return sorted(first, key=lambda one: (one.label, one.rank))


def _card(one: DoubtedLabel, number: int, names: Sequence[str], album: Album) -> Card:
    label, proposed = names[one.label], names[one.proposed]
    corrected = one.label != one.filed
    folder = f" (folder: {names[one.filed]})" if corrected else ""
    return Card(
        number=number,
        group=one.label,
        path=shown_path(one.path),
        label=label,
        small=f"{proposed} {one.probabilities[one.proposed]:.2f}",
        likely=likely_classes(one.probabilities, one.proposed),
        marks=("changed",) if corrected else (),
        picture=album.picture(one.path, _PICTURE),
        about=f"labeled {label}{folder}, proposed {proposed},",
    )


def _review(
    shown: Sequence[DoubtedLabel],
    names: Sequence[str],
    earlier: Sequence[tuple[str, str, str]],
    fingerprint: str,
) -> Review:
    paths = [one.path for one in shown]
    hashed = hashlib.sha256(
        "\0".join([fingerprint, *paths]).encode(errors="surrogateescape")
    )
    return Review(
        key=f"noise-{hashed.hexdigest()[:16]}",
        file="labels.csv",
        names=names,
        paths=paths,
        before=[one.filed for one in shown],
        labels=[one.label for one in shown],
        earlier=[(path, label or "-", was, "", "") for path, label, was in earlier],
    )


def _words(shown: int, suspects: int, earlier: int) -> Words:
    if not suspects:
        sentences = ["No label is in doubt."]
    else:
        sentences = [
            f"{count(shown)} images by their label; of each class the most doubtful "
            "first: those whose label has the lowest probability against the most "
            "probable other class. Below a picture are the label, the class that is "
            "proposed and its probability.",
            "Settle what you have looked at: the label is right, or the image is of "
            "the proposed class, of another, or of none and left out. What you save, "
            "labels.csv, is for the next runs (config.data.labels); images that "
            "nobody has settled keep their label.",
        ]
    if shown < suspects:
        sentences.append(f"{count(suspects - shown)} more are in suspects.csv alone.")
    if earlier:
        sentences.append(
            f"The runs were given {count(earlier)} correction(s); the saved table has "
            "these too."
        )
    return Words(
        title="Labels in doubt",
        sentences=tuple(sentences),
        likely="a class that is likely, 1 the proposed one",
        none="left out",
        unlabel="Leave out",
    )


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
    return f"{100 * part / whole:.1f}\N{NO-BREAK SPACE}%" if whole else score(None)
