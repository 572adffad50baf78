"""The report of one run as one HTML page that needs no network and no script."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bmjax.data.matek import RARE
from bmjax.evals.assess import assess
from bmjax.evals.predictions import Predictions
from bmjax.report import lineage_section as meaning
from bmjax.report import metric_tables as tables
from bmjax.report import words
from bmjax.report.model_card import CARD_FILE, model_card
from bmjax.report.pictures import Album
from bmjax.report.render import render, write_page
from bmjax.report.run_files import read_run_files, section
from bmjax.report.sections import describe_system
from bmjax.report.systems import System, folders_of_cells, image_roots
from bmjax.report.trust_section import describe_trust

DRAWS = 1000  # of every bootstrap; the ends of an interval vary by a tenth of its width


def write_report(
    workdir: Path,
    *,
    predictions: Predictions | None = None,
    metrics: dict[str, Any] | None = None,
    images: Path | None = None,
    note: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Write `workdir/report.html` and the model card; return the former's path.

    The same files give the same bytes. An older report is replaced in one move. A run
    that ends gives what it has in memory, so that nothing is evaluated twice.

    Args:
        workdir: of the run.
        predictions: those of predictions.csv; None: they are read.
        metrics: of `assess` for these predictions, with the run's counts of training
            images, DRAWS draws and the run's seed; None: they are worked out.
        images: folder with the cells, where it is not the run's own.
        note: takes a sentence where pictures cannot be shown.

    Raises:
        DataError: a file of the run is missing or damaged, or the page cannot be
            written.
        CheckpointError: what the run kept of its validation cells is damaged.
    """
    run = read_run_files(workdir, predictions)
    system = System(workdir.name, workdir, run.predictions, run)
    if metrics is None:
        metrics = metrics_of(system)
    own = predictions is not None
    roots = folders_of_cells(images) if images else []
    album = Album([*roots, *image_roots(system, own=own, note=note)])
    contents = run_page_contents(system, metrics, album)
    card = json.dumps(contents["card"], indent=2, ensure_ascii=False)
    write_page(workdir / CARD_FILE, card + "\n")
    page = render("page.html", contents)
    return write_page(workdir / "report.html", page)


def metrics_of(system: System) -> dict[str, Any]:
    """All metrics of a system, worked out from its predictions.

    Head, middle and tail need the training images of each class, which only the
    results of a run give.
    """
    runs = [part.run for part in system.folds or (system,) if part.run]
    counts = [section(run.results, "train_counts") for run in runs]
    known = {
        name: sum(part[name] for part in counts)
        for name in system.predictions.classes
        if all(isinstance(part.get(name), int) for part in counts)
    }
    whole = bool(counts) and len(known) == len(system.predictions.classes)
    seed = runs[0].config.get("seed") if runs else 0
    return assess(
        system.predictions,
        train_counts=known if whole else None,
        draws=DRAWS,
        seed=seed if isinstance(seed, int) and seed >= 0 else 0,  # as in results.json
    )


def run_page_contents(
    system: System, metrics: dict[str, Any], album: Album
) -> dict[str, Any]:
    """What the template of one run's page shows.

    Args:
        system: the run.
        metrics: of `metrics_of`.
        album: with the pictures of its cells.
    """
    return {
        "system": describe_system(system, metrics, album),
        "warnings": tables.warnings(metrics),
        "mistake_rows": meaning.mistake_rows([metrics]),
        "maturity_rows": meaning.maturity_rows([metrics]),
        "calibration": meaning.calibration_rows([metrics], [system.name]),
        "calibration_head": meaning.CALIBRATION_HEAD,
        "trust": describe_trust(system.source, system.predictions),
        "card": model_card(system.run, metrics),
        "few": RARE,
        "dash": words.NONE,
    }
