"""Systems side by side on one HTML page that needs no network and no script."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.data.matek import RARE
from bmjax.errors import ConfigError, DataError
from bmjax.report import dots, words
from bmjax.report import lineage_section as meaning
from bmjax.report import metric_tables as tables
from bmjax.report import ranking_section as ranking
from bmjax.report.mistakes import common_mistakes
from bmjax.report.panels import loss_panel
from bmjax.report.pictures import MOST_BYTES, Album
from bmjax.report.pooled_folds import pool_folds
from bmjax.report.render import render, write_page
from bmjax.report.run_page import metrics_of
from bmjax.report.sections import describe_system
from bmjax.report.systems import (
    System,
    folders_of_cells,
    image_roots,
    read_systems,
)
from bmjax.report.validation_section import validation_rows

PAIRED_DRAWS = 1000


class Row(NamedTuple):
    """One system in a drawing of scores: its mark, name, drawing and texts."""

    mark: str
    name: str
    drawing: str
    value: str
    interval: str


_MARK = b'content="bmjax"'  # in the head of each page of ours
_UNPAIRED = (
    "no paired comparison can be made, and part of any difference may be the images"
)


class ScoreFigure(NamedTuple):
    """One score of all systems."""

    title: str
    rows: list[Row]
    scale: str


class ClassStrip(NamedTuple):
    """One class in the drawing of recalls, and its F1 by system."""

    label: str
    name: str
    support: int
    test: str
    drawing: str
    f1: list[tables.Shown]


def write_comparison(
    runs: Sequence[Path],
    tables_of_others: Sequence[Path] = (),
    *,
    out: Path,
    images: Path | None = None,
    pool: bool = False,
    note: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Write `out/index.html` on all systems; return its path.

    The same files give the same bytes. An older page is replaced in one move.

    Args:
        runs: folders of finished runs.
        tables_of_others: tables of predictions of any system.
        out: folder of the page; made where there is none.
        images: data folder in which the cells are looked for, before those of the
            runs.
        pool: whether runs that differ in their fold alone are one system.
        note: takes a sentence where the systems cannot be compared image by image.

    Raises:
        ConfigError: the same run or table twice, or another program's page is there.
        DataError: one of them cannot be used, or they do not belong on one page.
    """
    refuse_other_page(out / "index.html")
    if images is not None and not images.is_dir():
        raise DataError(
            f"expected a folder of images, but {images} is none: check the path"
        )
    systems = read_systems(runs, tables_of_others)
    if pool:
        systems = pool_folds(systems)
    shown = comparison_contents(systems, images, note)
    page = write_page(out / "index.html", render("compare.html", shown))
    if not shown["paired"]:
        note(f"{shown['data']}: {_UNPAIRED}")
    return page


def refuse_other_page(page: Path) -> None:
    """Raise ConfigError where a page is that another program has written."""
    try:
        head = page.read_bytes()[:4096]
    except OSError:
        return  # none is there; whether one can be written shows when it is
    if _MARK not in head:
        raise ConfigError(
            f"--out: {page} is there and is no page of bmjax; give another folder"
        )


def comparison_contents(
    systems: Sequence[System],
    images: Path | None = None,
    note: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """What the template of the page shows."""
    from markupsafe import Markup

    all_metrics = [metrics_of(system) for system in systems]
    paired = ranking.same_images(systems)
    roots = folders_of_cells(images) if images else []
    album = Album(
        [
            *roots,
            *(root for system in systems for root in image_roots(system, note=note)),
        ]
    )
    pairs = []
    if paired:
        order = ranking.by_macro_f1(all_metrics)
        pairs = [
            ranking.compare_pair(systems, *pair, draws=PAIRED_DRAWS)
            for pair in ranking.pairs_of(order)
        ]
    validation_head, validated = validation_rows(
        [(one.name, one.run) for system in systems for one in system.folds or (system,)]
    )
    return {
        "names": [system.name for system in systems],
        "marks": [Markup(dots.swatch(number)) for number in range(len(systems))],
        "title": f"{len(systems)} systems" if len(systems) > 1 else "One system",
        "data": _data(systems, all_metrics, paired),
        "paired": paired,
        "few": RARE,
        "dash": words.NONE,
        "warnings": _warnings(all_metrics, paired),
        "scores": [
            score_figure(
                title,
                [tables.score_interval(metrics, key) for metrics in all_metrics],
                systems,
            )
            for key, title in tables.SCORES.items()
        ]
        + lineage_score(all_metrics, systems),
        "validation_head": validation_head,
        "validation_rows": validated,
        "pairs": pairs,
        "all_pairs": len(pairs) >= len(systems) * (len(systems) - 1) // 2,
        "compared": ranking.SCORE_NAMES,
        "class_strips": class_strips(all_metrics, systems),
        "class_scale": Markup(dots.scale(dots.SHARES)),
        "frequency": frequency_rows(all_metrics, systems),
        "mistake_rows": meaning.mistake_rows(all_metrics),
        "maturity_rows": meaning.maturity_rows(all_metrics),
        "calibration": meaning.calibration_rows(all_metrics, [s.name for s in systems]),
        "calibration_head": meaning.CALIBRATION_HEAD,
        "losses": [
            loss_panel(part.run.series, part.name)
            for system in systems
            for part in system.folds or (system,)
            if part.run
        ],
        "sheet": common_mistakes(systems, album) if paired else None,
        "album": album,
        "most_bytes": MOST_BYTES,
        "sections": [
            describe_system(
                system, metrics, album, number=number, suffix=f"-{number + 1}"
            )
            for number, (system, metrics) in enumerate(
                zip(systems, all_metrics, strict=True)
            )
        ],
    }


def score_figure(
    title: str, estimates: Sequence[dots.ScoreInterval], systems: Sequence[System]
) -> ScoreFigure:
    """A score of all systems, each on a line of its own, on one axis."""
    from markupsafe import Markup

    axis = dots.axis_of(estimates)
    rows = [
        Row(
            Markup(dots.swatch(number)),
            system.name,
            Markup(dots.strip([(number, estimate)], axis)),
            words.score(estimate.value),
            "" if estimate.low is None else words.interval_text(*estimate[1:]),
        )
        for number, (system, estimate) in enumerate(
            zip(systems, estimates, strict=True)
        )
    ]
    return ScoreFigure(title, rows, Markup(dots.scale(axis)))


def lineage_score(
    all_metrics: Sequence[dict[str, Any]], systems: Sequence[System]
) -> list[ScoreFigure]:
    """The cells predicted as another lineage, where classes have known lineages."""
    if not meaning.known(all_metrics):
        return []
    crossed = [metrics["lineage"]["cross_lineage"] for metrics in all_metrics]
    estimates = [
        dots.ScoreInterval(metrics["rate"], *(metrics["interval"] or (None, None)))
        for metrics in crossed
    ]
    return [
        score_figure(
            "Cells predicted as another lineage: less is better", estimates, systems
        )
    ]


def class_strips(
    all_metrics: Sequence[dict[str, Any]], systems: Sequence[System]
) -> list[ClassStrip]:
    """Recall of each class by every system, drawn; F1 in numbers."""
    from markupsafe import Markup

    known = [
        {e["abbreviation"]: e for e in metrics["per_class"]} for metrics in all_metrics
    ]
    strips = []
    for label in max((metrics["classes"] for metrics in all_metrics), key=len):
        entries = [classes.get(label) for classes in known]
        marks = [
            (number, dots.ScoreInterval(entry["recall"], *entry["recall_interval"]))
            for number, entry in enumerate(entries)
            if entry and entry["recall"] is not None
        ]
        supports = sorted({entry["support"] for entry in entries if entry})
        few, most = words.count(supports[0]), words.count(supports[-1])
        strips.append(
            ClassStrip(
                label,
                words.full_name(label),
                supports[0],
                few if few == most else f"{few} to {most}",
                Markup(dots.strip(marks, dots.SHARES)) if marks else "",
                [
                    tables.shown_score(entry["f1"], entry["f1_interval"])
                    if entry
                    else tables.shown_score(None, None)
                    for entry in entries
                ],
            )
        )
    return strips


def frequency_rows(
    all_metrics: Sequence[dict[str, Any]], systems: Sequence[System]
) -> list[tuple[str, list[tables.Shown]]]:
    """Mean recall and F1 over head, middle and tail classes, for each system."""
    rows = []
    for system, metrics in zip(systems, all_metrics, strict=True):
        thirds = metrics["by_frequency"]
        if thirds:
            cells = [
                tables.shown_score(third[key], third[f"{key}_interval"])
                for key in ("recall", "f1")
                for third in thirds.values()
            ]
            rows.append((system.name, cells))
    return rows


def _data(
    systems: Sequence[System], all_metrics: Sequence[dict[str, Any]], paired: bool
) -> str:
    classes = max(len(metrics["classes"]) for metrics in all_metrics)
    if paired:
        same = "the same " if len(systems) > 1 else ""
        return f"{same}{all_metrics[0]['images']:,} test images, {classes} classes"
    each = words.listing(
        [
            f"{s.name} {metrics['images']:,}"
            for s, metrics in zip(systems, all_metrics, strict=True)
        ]
    )
    common = set.intersection(*(set(system.predictions.paths) for system in systems))
    shared = f"{len(common):,} paths in common"
    if not common:
        firsts = [f"{s.name} has {s.predictions.paths[0]}" for s in systems]
        shared += f": {words.listing(firsts)}"
    return f"different test images ({each}; {shared}), {classes} classes"


def _warnings(all_metrics: Sequence[dict[str, Any]], paired: bool) -> list[str]:
    """Sentences on all systems; those on classes once, if the images are the same."""
    sentences = []
    if not paired:
        sentences.append(
            f"These systems were tested on different test images: {_UNPAIRED}."
        )
    for metrics in all_metrics[:1] if paired else all_metrics:
        sentences += tables.warnings(metrics)
    return list(dict.fromkeys(sentences))
