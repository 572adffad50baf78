"""What a page shows of one system: rows, sentences, and drawings marked as safe."""

from collections import Counter
from typing import Any

from bmjax.report import facts, words
from bmjax.report import lineage_section as meaning
from bmjax.report import metric_tables as tables
from bmjax.report.dots import SHARES, scale
from bmjax.report.drawing import class_color
from bmjax.report.maps import feature_map
from bmjax.report.panels import panels
from bmjax.report.pictures import Album
from bmjax.report.pooled_folds import fold_rows
from bmjax.report.prototype_sheets import describe_atlas
from bmjax.report.run_files import RunFiles, finite, section
from bmjax.report.systems import System
from bmjax.report.validation_section import describe_validation, split_series

_AGREE = 5e-4  # metrics of results.json and of predictions.csv; ours


def describe_system(
    system: System,
    metrics: dict[str, Any],
    album: Album,
    *,
    number: int = 0,
    suffix: str = "",
) -> dict[str, Any]:
    """The section of one system, for the template.

    Args:
        system: what is shown.
        metrics: of `assess`.
        album: where pictures of cells come from.
        number: of the system on the page, for its color and shape.
        suffix: of the ids of its tables.
    """
    from markupsafe import Markup

    run = system.run
    train_counts = section(run.results, "train_counts") if run else {}
    groups = meaning.groups_of(metrics["classes"])
    rows = tables.class_rows(metrics, train_counts, number)
    return {
        "name": system.name,
        "suffix": suffix,
        "images": metrics["images"],
        "tiles": tables.tiles(metrics),
        "notes": list(metrics["notes"]),
        "class_rows": [row._replace(strip=Markup(row.strip)) for row in rows],
        "named": any(row.name for row in rows),
        "train_known": bool(train_counts),
        "scale": Markup(scale(SHARES)),
        "long_names": max(map(len, metrics["classes"]), default=0) > 4,
        "confusion": tables.confusion(metrics, groups),
        "by_lineage": len(groups) > 1,
        "lineages": meaning.lineage_confusion(metrics),
        "reliability": meaning.reliability_of(metrics, system.name),
        "common": tables.common_confusions(metrics),
        "mistakes": tables.confident_mistakes(
            system.predictions, album, run.saliency if run else None
        ),
        "saliency": run.saliency.kind if run and run.saliency else "",
        **(_of_run(run, metrics, album) if run else _of_table(system, metrics)),
    }


def _of_run(run: RunFiles, metrics: dict[str, Any], album: Album) -> dict[str, Any]:
    """What only a run tells."""
    probe_head, probe_rows = facts.probe_table(run.results)
    return {
        "title": facts.run_title(run.results, run.config),
        "data": facts.run_data(run.results, run.config, len(run.predictions.classes)),
        "measured": facts.measured(run.results),
        "cautions": _cautions(run, metrics),
        "probe_head": probe_head,
        "probe_rows": probe_rows,
        "panels": panels(split_series(run.series)[0]),
        "validation": describe_validation(run),
        "unreadable": run.unreadable,
        "map": _map(run),
        "atlas": (
            describe_atlas(run.atlas, metrics["classes"], album) if run.atlas else None
        ),
        "mended": facts.mended(run.results, metrics["notes"]),
        "fold_rows": [],
        "facts": facts.facts(run.results, run.config),
        "versions": sorted(section(run.results, "versions").items()),
        "config": facts.config_rows(run.config),
    }


def _of_table(system: System, metrics: dict[str, Any]) -> dict[str, Any]:
    """The same of a table of predictions, which says nothing else of its system."""
    images, classes = words.count(metrics["images"]), len(metrics["classes"])
    return {
        "title": system.name,
        "data": f"{images} test images, {classes} classes",
        "measured": (
            f"The {len(system.folds)} folds put together:"
            if system.folds
            else f"The predictions of {system.source.name} on"
        ),
        "fold_rows": fold_rows(system) if system.folds else [],
        "cautions": [],
        "probe_head": [],
        "probe_rows": [],
        "panels": [],
        "validation": None,
        "unreadable": 0,
        "map": None,
        "atlas": None,
        "mended": [],
        "facts": [],
        "versions": [],
        "config": [],
    }


def _cautions(run: RunFiles, metrics: dict[str, Any]) -> list[str]:
    """Sentences on what a reader might take the scores for and they are not."""
    cautions = []
    data = section(run.config, "data")
    if data.get("synthetic_images") and not data.get("root"):
        cautions.append(
            "The images are synthetic: no score says anything of real cells."
        )
    return cautions + disagreements(run, metrics["accuracy"])


def disagreements(run: RunFiles, counted: float | None) -> list[str]:
    """Sentences on where results.json does not fit predictions.csv.

    Args:
        run: its files.
        counted: the accuracy of predictions.csv.
    """
    sentences = []
    expected, images = finite(run.results.get("n_test")), len(run.predictions.paths)
    if expected is not None and expected != images:
        sentences.append(
            f"results.json counts {expected:,.0f} test images, but predictions.csv "
            f"holds {images:,}: these files may be of different runs."
        )
    written = finite(run.results.get("accuracy"))
    if written is not None and counted is not None and abs(written - counted) > _AGREE:
        sentences.append(
            f"results.json gives the accuracy as {written:.3f}, but predictions.csv "
            f"makes it {counted:.3f}, which is shown: these files may be of different "
            "runs."
        )
    return sentences


def _map(run: RunFiles) -> dict[str, Any] | None:
    """The map of the features with its legend, or None where the run has none."""
    if not run.points:
        return None
    from markupsafe import Markup

    shown = Counter(point.label for point in run.points)
    order = [*run.predictions.classes]
    order += sorted(set(shown) - set(order))
    legend = [
        (class_color(index), label, words.full_name(label), words.count(shown[label]))
        for index, label in enumerate(order)
        if shown[label]
    ]
    drawing = Markup(feature_map(run.points, order))
    return {"drawing": drawing, "legend": legend, "images": len(run.points)}
