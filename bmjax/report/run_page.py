"""The report of one run as one HTML page that needs no network and no script."""

from pathlib import Path
from typing import Any

from bmjax.data.matek import RARE
from bmjax.evals.assess import assess
from bmjax.report import lineage_section as meaning
from bmjax.report import metric_tables as tables
from bmjax.report import words
from bmjax.report.pictures import Album
from bmjax.report.render import render, write_page
from bmjax.report.run_files import read_run, section
from bmjax.report.sections import describe
from bmjax.report.systems import System, image_roots

DRAWS = 1000  # of every bootstrap; the ends of an interval vary by a tenth of its width


def write_report(workdir: Path) -> Path:
    """Write `workdir/report.html` from the files of the run; return its path.

    The same files give the same bytes. An older report is replaced in one move.

    Raises:
        DataError: a file of the run is missing or damaged, or the page cannot be
            written.
    """
    run = read_run(workdir)
    system = System(workdir.name, workdir, run.predictions, run)
    return write_page(workdir / "report.html", render("page.html", contents(system)))


def metrics_of(system: System) -> dict[str, Any]:
    """Every figure of a system, worked out from its predictions.

    Head, middle and tail need the training images of each class, which only the
    results of a run give.
    """
    runs = [one.run for one in system.folds or (system,) if one.run]
    counts = [section(run.results, "train_counts") for run in runs]
    known = {
        name: sum(one[name] for one in counts)
        for name in system.predictions.classes
        if all(isinstance(one.get(name), int) for one in counts)
    }
    whole = bool(counts) and len(known) == len(system.predictions.classes)
    seed = runs[0].config.get("seed") if runs else 0
    return assess(
        system.predictions,
        train_counts=known if whole else None,
        draws=DRAWS,
        seed=seed if isinstance(seed, int) and seed >= 0 else 0,  # as in results.json
    )


def contents(system: System) -> dict[str, Any]:
    """What the template of one run's page shows."""
    figures = metrics_of(system)
    return {
        "one": describe(system, figures, Album(image_roots(system))),
        "warnings": tables.warnings(figures),
        "mistake_rows": meaning.mistake_rows([figures]),
        "maturity_rows": meaning.maturity_rows([figures]),
        "calibration": meaning.calibration_rows([figures], [system.name]),
        "calibration_head": meaning.CALIBRATION_HEAD,
        "few": RARE,
        "dash": words.NONE,
    }
