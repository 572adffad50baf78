"""What the mistakes mean, in tables: lineages, maturity, and trust in probabilities."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bmjax.data.matek import class_name
from bmjax.evals.lineage import LINEAGES
from bmjax.evals.lineage import SERIES as STAGES
from bmjax.report.metric_tables import ConfusionCell, ConfusionRow, Shown, shown_score
from bmjax.report.reliability import Bin, reliability_diagram
from bmjax.report.words import NONE, count, score

MISTAKE_TITLES = {  # of evals.lineage, in words
    "correct": "Correct",
    "same_series_one_step": "The next stage of the same series",
    "same_series_more_steps": "Another stage, further off",
    "same_lineage_otherwise": "The same lineage, no series",
    "other_lineage": "Another lineage",
    "predicted_no_lineage": "A cell, predicted as artefact or the like",
    "no_lineage_predicted_one": "An artefact or the like, predicted as a cell",
    "within_no_lineage": "Among artefacts and the like",
}
SERIES_TITLES = {  # of evals.lineage, from the least mature stage on
    "granulocytic": "Blast to segmented neutrophil",
    "erythroid": "Proerythroblast to erythroblast",
    "lymphoid": "Immature lymphocyte to plasma cell",
}
LONG = 3  # stages; in shorter series one stage off is nearly all there is
CALIBRATION = {
    "ece": "ECE",
    "classwise_ece": "Class-wise ECE",
    "brier": "Brier score",
    "nll": "Log loss",
    "mean_confidence": "Mean probability",
    "accuracy": "Accuracy",
}


CALIBRATION_HEAD = ["ROC AUC, mean of classes", *CALIBRATION.values()]


class TableRow(NamedTuple):
    """A name and a cell for each system."""

    name: str
    cells: list[Shown]


class Reliability(NamedTuple):
    """The reliability diagram of one system."""

    name: str
    ece: str
    drawing: str


def groups_of(classes: Sequence[str]) -> list[list[str]]:
    """The classes by lineage, each from the least mature on; the unknown ones last.

    Classes count by the release's abbreviation or name, in any case of letters.
    """
    groups, left = [], list(classes)
    for members in LINEAGES.values():
        group = []
        for member in members:
            names = {member.casefold(), class_name(member).casefold()}
            group += [label for label in left if label.casefold() in names]
        left = [label for label in left if label not in group]
        groups.append(group)
    return [group for group in [*groups, left] if group]


def known(all_metrics: Sequence[dict[str, Any]]) -> bool:
    """Whether any class of the systems is in the table of lineages."""
    return any(metrics["lineage"]["images"] for metrics in all_metrics)


def mistake_rows(all_metrics: Sequence[dict[str, Any]]) -> list[TableRow]:
    """Images by kind of mistake, a column for each system; none without lineages."""
    if not known(all_metrics):
        return []
    return [
        TableRow(
            words,
            [
                _share(
                    metrics["lineage"]["mistakes"][kind], metrics["lineage"]["images"]
                )
                for metrics in all_metrics
            ],
        )
        for kind, words in MISTAKE_TITLES.items()
    ]


def maturity_rows(all_metrics: Sequence[dict[str, Any]]) -> list[TableRow]:
    """Metrics by lineage and stage, a column for each system."""
    lineages = [metrics["lineage"] for metrics in all_metrics]
    rows = [
        TableRow(
            "Cells predicted as another lineage, of all that have one",
            [
                shown_score(
                    lineage["cross_lineage"]["rate"],
                    lineage["cross_lineage"]["interval"],
                )
                for lineage in lineages
            ],
        ),
        TableRow(
            "Accuracy, neighboring stages counted as correct",
            [
                shown_score(lineage["tolerant"]["accuracy"], None)
                for lineage in lineages
            ],
        ),
    ]
    for key, words in SERIES_TITLES.items():
        along = [lineage["series"][key] for lineage in lineages]
        if not any(lineage["images"] for lineage in along):
            continue
        if len(STAGES[key]) > LONG:
            cells = [shown_score(lineage["within_one_step"], None) for lineage in along]
            rows.append(TableRow(f"{words}: at most one stage off", cells))
        if any(lineage["spearman"] is not None for lineage in along):
            cells = [shown_score(lineage["spearman"], None) for lineage in along]
            rows.append(TableRow(f"{words}: rank correlation of stages", cells))
    return rows


def lineage_confusion(metrics: dict[str, Any]) -> list[ConfusionRow]:
    """The confusion matrix of the lineages that have images or are predicted."""
    names = metrics["lineage"]["confusion"]["lineages"]
    counts = metrics["lineage"]["confusion"]["counts"]
    shown_ones = [
        place
        for place in range(len(names))
        if sum(counts[place]) or any(row[place] for row in counts)
    ]
    rows = []
    for own in shown_ones:
        total = sum(counts[own])
        cells = [
            ConfusionCell(
                counts[own][predicted],
                (counts[own][predicted] / max(total, 1))
                ** (1 if own == predicted else 0.5),
                ("correct" if own == predicted else "wrong")
                if counts[own][predicted]
                else "zero",
                f"{names[own]} predicted as {names[predicted]}: "
                f"{counts[own][predicted]:,} of {total:,}",
            )
            for predicted in shown_ones
        ]
        name = names[own].capitalize()
        rows.append(ConfusionRow(name, name, count(total), False, cells))
    return rows


def calibration_rows(
    all_metrics: Sequence[dict[str, Any]], names: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """Metrics of the probabilities, a row for each system; dashes without them."""
    rows = []
    for name, metrics in zip(names, all_metrics, strict=True):
        values = [(metrics["calibration"] or {}).get(key) for key in CALIBRATION]
        area = (metrics["roc_auc"] or {}).get("macro")
        rows.append((name, [score(value) for value in (area, *values)]))
    return rows


def reliability_of(metrics: dict[str, Any], name: str) -> Reliability | None:
    """The reliability diagram of a system that gives probabilities."""
    from markupsafe import Markup

    if metrics["calibration"] is None:
        return None
    bins = [
        Bin(entry["confidence"], entry["accuracy"], *entry["interval"], entry["images"])
        for entry in metrics["calibration"]["reliability"]
    ]
    drawing = Markup(reliability_diagram(bins, name))
    return Reliability(name, score(metrics["calibration"]["ece"]), drawing)


def _share(images: int, of: int) -> Shown:
    return Shown(count(images), f"{images / of:.1%}" if of else NONE)
