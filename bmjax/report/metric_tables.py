"""The rows of the report's tables: metrics in, rows of texts and drawings out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.matek import RARE
from bmjax.evals.confusion import AVERAGE_TITLES, AVERAGES
from bmjax.evals.predictions import (
    Predictions,
    chosen_probabilities,
    confidently_wrong,
)
from bmjax.report.dots import SHARES, ScoreInterval, strip
from bmjax.report.pictures import Album
from bmjax.report.saliency_file import SaliencyMaps
from bmjax.report.words import NONE, count, interval_text, listing, score, shown_path

_MISTAKES = 12  # that a table lists; ours
_MISTAKE_SIDE = 144  # pixels of a picture, shown at two thirds of that

# The averages that the pages show, by name, the two macro F1 beside each other.
_FIRST = ("accuracy", "balanced_accuracy", "macro_f1", "macro_f1_without_rare")
SCORES = {
    name: AVERAGE_TITLES[name][0].upper() + AVERAGE_TITLES[name][1:]
    for name in dict.fromkeys((*_FIRST, *AVERAGES))
}


class Tile(NamedTuple):
    """One score of the headline, or why there is none."""

    label: str
    value: str
    interval: str
    reason: str


class Shown(NamedTuple):
    """A number and its interval as texts."""

    value: str
    interval: str


class ClassRow(NamedTuple):
    """One class: its numbers as text, and its recall as a drawing."""

    abbreviation: str
    name: str
    train: str
    test: str
    support: int
    predicted: int
    precision: Shown
    recall: Shown
    f1: Shown
    strip: str


class ConfusionCell(NamedTuple):
    """One cell of the confusion matrix; `depth` is that of its color, from 0 to 1."""

    count: int
    depth: float
    kind: str  # "correct", "wrong" or "zero", and "first" of a lineage
    title: str


class ConfusionRow(NamedTuple):
    """One true class; `first` of a lineage where rows are in their order."""

    label: str
    title: str
    total: str
    first: bool
    cells: list[ConfusionCell]


def score_interval(metrics: dict[str, Any], key: str) -> ScoreInterval:
    """An average and its interval, from the metrics of a system."""
    return ScoreInterval(
        metrics.get(key), *(metrics["intervals"].get(key) or (None, None))
    )


def shown_score(value: float | None, ends: Sequence[float] | None) -> Shown:
    """A number with three decimals and its interval."""
    return Shown(score(value), interval_text(*ends) if ends else "")


def tiles(metrics: dict[str, Any]) -> list[Tile]:
    """The headline's scores with their intervals."""
    shown = []
    for key, label in SCORES.items():
        value, ends = metrics.get(key), metrics["intervals"].get(key)
        rare = key == "macro_f1_without_rare"
        reason = "every class is rare here" if rare else "not defined here"
        number = shown_score(value, ends)
        shown.append(Tile(label, *number, "" if value is not None else reason))
    return shown


def class_rows(
    metrics: dict[str, Any], train_counts: dict[str, Any], system: int = 0
) -> list[ClassRow]:
    """The per-class table, one row for each class, in their order."""
    rows = []
    for entry in metrics["per_class"]:
        label, name = entry["abbreviation"], entry["name"]
        recall = ScoreInterval(
            entry["recall"], *(entry["recall_interval"] or (None, None))
        )
        rows.append(
            ClassRow(
                abbreviation=label,
                name="" if name == label else name,
                train=count(train_counts.get(label)),
                test=count(entry["support"]),
                support=entry["support"],
                predicted=entry["predicted"],
                precision=_precision(entry),
                recall=shown_score(entry["recall"], entry["recall_interval"]),
                f1=shown_score(entry["f1"], entry["f1_interval"]),
                strip=strip([(system, recall)], SHARES),
            )
        )
    return rows


def warnings(metrics: dict[str, Any]) -> list[str]:
    """Sentences on the classes that are absent from the test part or few in it."""
    entries = metrics["per_class"]
    present = [entry for entry in entries if entry["support"] > 0]
    few = [entry for entry in present if entry["support"] < RARE]
    sentences = []
    if few and len(few) == len(present):
        sentences.append(
            f"Every class has fewer than {RARE} test images: a few images decide each "
            f"class\N{RIGHT SINGLE QUOTATION MARK}s scores and all averages."
        )
    elif few:
        named = listing(
            [f"{entry['abbreviation']} ({entry['support']})" for entry in few]
        )
        has, each = ("has", "") if len(few) == 1 else ("have", " each")
        sentences.append(
            f"{named} {has} fewer than {RARE} test images{each}, and every class "
            "weighs the same in the balanced accuracy and the macro F1: a few images "
            f"decide {len(few)} of the {len(present)} terms of these averages."
        )
    if absent := metrics["absent"]:
        verb = "is" if len(absent) == 1 else "are"
        sentences.append(f"{listing(absent)} {verb} absent from the test part.")
    return sentences


def confusion(
    metrics: dict[str, Any], groups: Sequence[Sequence[str]]
) -> list[ConfusionRow]:
    """The confusion matrix, its rows and columns in the order of `groups`."""
    matrix = np.array(metrics["confusion"])
    number = {name: place for place, name in enumerate(metrics["classes"])}
    names = {entry["abbreviation"]: entry["name"] for entry in metrics["per_class"]}
    order = [
        (label, not place and len(groups) > 1)
        for group in groups
        for place, label in enumerate(group)
    ]
    rows = []
    for label, first_row in order:
        total = int(matrix[number[label]].sum())
        cells = []
        for predicted, first in order:
            images = int(matrix[number[label], number[predicted]])
            kind = ("correct" if label == predicted else "wrong") if images else "zero"
            title = f"{label} predicted as {predicted}: {images:,} of {total:,}"
            fraction = images / max(total, 1)
            # The root makes few mistakes visible too.
            depth = fraction if label == predicted else fraction**0.5
            cells.append(
                ConfusionCell(images, depth, kind + (" first" if first else ""), title)
            )
        rows.append(ConfusionRow(label, names[label], count(total), first_row, cells))
    return rows


def common_confusions(metrics: dict[str, Any], limit: int = 5) -> list[str]:
    """The most common mistakes in words, most common first, ties by name."""
    matrix, classes = metrics["confusion"], metrics["classes"]
    wrong = [
        (-images, label, predicted, images / sum(row))
        for label, row in zip(classes, matrix, strict=True)
        for predicted, images in zip(classes, row, strict=True)
        if images and label != predicted
    ]
    return [
        f"{label} as {predicted} ({-images:,}, {fraction:.0%} of {label})"
        for images, label, predicted, fraction in sorted(wrong)[:limit]
    ]


class ConfidentMistake(NamedTuple):
    """One image that is predicted as another class, in texts."""

    file: str
    label: str
    predicted: str
    probability: str
    picture: str = ""  # of the cell, a data URI; "" where there is none
    heat: str = ""  # of the cell with its saliency map


def confident_mistakes(
    predictions: Predictions, album: Album, saliency: SaliencyMaps | None
) -> list[ConfidentMistake]:
    """The wrong predictions with the highest probability, most confident first.

    Those that have a map have their pictures too.
    """
    sure = chosen_probabilities(predictions)
    classes = predictions.classes
    maps = saliency.maps if saliency else {}

    def pictures(path: str) -> tuple[str, ...]:
        if path not in maps:
            return ()
        found = album.picture(path, _MISTAKE_SIDE)
        return found, found and album.picture(path, _MISTAKE_SIDE, maps[path])

    return [
        ConfidentMistake(
            shown_path(predictions.paths[row]),
            classes[predictions.labels[row]],
            classes[predictions.predicted[row]],
            NONE if predictions.probabilities is None else score(float(sure[row])),
            *pictures(predictions.paths[row]),
        )
        for row in confidently_wrong(predictions, _MISTAKES)
    ]


def _precision(entry: dict[str, Any]) -> Shown:
    """Of a class that is never predicted, precision is not defined: a dash."""
    never = entry["predicted"] == 0
    return shown_score(
        None if never else entry["precision"], entry["precision_interval"]
    )
