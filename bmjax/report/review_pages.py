"""Cells on HTML pages on which a reader changes their labels.

The pages need no network and no server. Their one script (`review.js`, and what a page
adds) is named by its hash in the page's security policy, so that nothing else can run.
Without scripts the pages are there to read.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.report.render import file_of_report, render, write_page

_LIKELY = 5  # classes with a key of their own; ours
_LEAST = 0.005  # of a probability that is shown there; ours


class Card(NamedTuple):
    """A cell as its button shows it.

    Attributes:
        number: of the cell, its place in the lists of `Review`.
        group: number of the class whose gallery it is in.
        path: of its image.
        label: its name now.
        small: what stands beside the label.
        likely: of `likely_classes`.
        marks: further names of the button's class in the style sheet.
        picture: data URI, or "".
        about: what the inspector says of it before its label, or "".
    """

    number: int
    group: int
    path: str
    label: str
    small: str
    likely: str
    marks: tuple[str, ...]
    picture: str
    about: str = ""


class Review(NamedTuple):
    """What the script changes and saves.

    Attributes:
        key: under which the browser keeps the changes; of these cells alone.
        file: name of the table that is saved.
        names: of all classes, by number.
        paths: of all cells, in the order of their numbers.
        before: the class of each that the table has as `was`.
        labels: the class of each now; -1: none.
        seen: numbers of cells that somebody has looked at before.
        earlier: rows of the table, path, label, was, who, when and what is in `more`,
            that stand unless the review has another of this path.
        more: further columns of the reviewed rows, and what is in them.
        counted: what another script of the page takes from it.
    """

    key: str
    file: str
    names: Sequence[str]
    paths: Sequence[str]
    before: Sequence[int]
    labels: Sequence[int]
    seen: Sequence[int] = ()
    earlier: Sequence[Sequence[str]] = ()
    more: dict[str, str] = {}  # noqa: RUF012 a field, never changed
    counted: dict[str, Any] = {}  # noqa: RUF012


class Words(NamedTuple):
    """What the pages say around the cells.

    Attributes:
        title: over the galleries.
        sentences: below it.
        likely: what the keys 1 to 5 give a cell.
        none: the label that is no class.
        unlabel: the button that gives it.
    """

    title: str
    sentences: tuple[str, ...]
    likely: str
    none: str
    unlabel: str


def write_review(
    path: Path,
    template: str,
    order: Sequence[int],
    card: Callable[[int], Card],
    review: Review,
    words: Words,
    *,
    titles: Sequence[str],
    contents: dict[str, Any],
    script: str = "",
    side: int,
    on_a_page: int,
) -> list[Path]:
    """Write as many pages as the cells need.

    Args:
        path: of the first page; the second of "case.html" is "case-2.html".
        template: of the pages, which extends review.html.
        order: numbers of the cells as they are shown, those of a group together.
        card: a cell by its number.
        review: what the script needs.
        words: around the cells.
        titles: full names of the classes.
        contents: what else the template shows.
        script: file of a script that listens to `review.js`, or "".
        side: of a picture, in pixels of the page.
        on_a_page: cells, at most.

    Raises:
        DataError: a page cannot be written.
    """
    parts = [
        order[start : start + on_a_page]
        for start in range(0, max(len(order), 1), on_a_page)
    ]
    names = [path.name, *(f"{path.stem}-{i + 2}.html" for i in range(len(parts) - 1))]
    shared = {
        "review_css": file_of_report("review.css"),
        "json": _for_script(review, words),
        "pages": names,
        "words": words,
        "side": side,
        "all_classes": [
            {"name": name, "title": full}
            for name, full in zip(review.names, titles, strict=True)
        ],
        **_script((*filter(None, [script]), "review.js")),
        **contents,
    }
    written = []
    for page, (name, part) in enumerate(zip(names, parts, strict=True)):
        groups = _groups([card(number) for number in part], review.names, titles)
        text = render(template, {**shared, "page": page, "groups": groups})
        written.append(write_page(path.with_name(name), text))
    return written


def remove_pages(path: Path) -> None:
    """Remove the pages of an earlier review, which may have had more of them.

    Args:
        path: of the first page; other files stay.

    Raises:
        OSError: one cannot be removed.
    """
    pages = re.compile(rf"{re.escape(path.stem)}(-[0-9]+)?\.html")
    for old in path.parent.iterdir():
        if pages.fullmatch(old.name):
            old.unlink()


def likely_classes(probabilities: np.ndarray, first: int) -> str:
    """Classes that have a key of their own, as JSON: [number, probability] of each.

    Args:
        probabilities: float [N], of a cell.
        first: number of the class that comes first; the others follow by probability.
    """
    order = np.argsort(-probabilities, kind="stable").tolist()
    order.remove(first)
    likely = [i for i in order if probabilities[i] >= _LEAST]
    chosen = [first, *likely][:_LIKELY]
    return json.dumps([[i, f"{probabilities[i]:.2f}"] for i in chosen])


def _groups(
    cards: Sequence[Card], names: Sequence[str], titles: Sequence[str]
) -> list[dict[str, Any]]:
    groups: dict[int, list[dict[str, Any]]] = {}
    for card in cards:
        marks = "".join(f" {mark}" for mark in card.marks)
        shown = {**card._asdict(), "marks": marks}
        groups.setdefault(card.group, []).append(shown)
    return [
        {"name": names[i], "title": titles[i], "cells": members}
        for i, members in groups.items()
    ]


def _script(files: Sequence[str]) -> dict[str, str]:
    """The one script of a page, and its hash for the page's policy."""
    script = "\n" + "".join(map(file_of_report, files))
    digest = hashlib.sha256(script.encode()).digest()
    return {"script": script, "script_hash": base64.b64encode(digest).decode()}


def _for_script(review: Review, words: Words) -> str:
    """The review as JSON that cannot end its element."""
    stored = review._asdict()
    stored |= {"none": words.none, **stored.pop("counted")}
    text = json.dumps(stored, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")
