"""Finished runs as documents: counts of each test part, means and deviations."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.data.matek import RARE
from bmjax.data.splits.make_split import FOLDS
from bmjax.errors import DataError
from bmjax.evals.confusion import ClassMetrics, Counts, metrics_of_counts
from experiments.tables.derived import INTERVALS, NAMES, TITLES
from experiments.tables.document import (
    METRICS,
    PAPER_AVERAGES,
    number_or_none,
    paper_averages,
    system,
)
from experiments.tables.finished import FinishedRun, read_finished
from experiments.tables.paired import paired
from experiments.tables.places import decide_places
from experiments.tables.plans import TABLES, Job, Plan, remarks_on


def measured_table(plan: Plan, jobs: Sequence[Job]) -> dict[str, Any]:
    """The document of a table's finished runs, shaped as `published_table`'s.

    Raises:
        DataError: a run is not finished, its files do not agree or hold what is no
            number, or the runs were made on different images.
    """
    runs = [read_finished(job) for job in jobs]
    first = runs[0]
    for run in runs:
        prints = [one.results["data_fingerprint"] for one in (run, first)]
        if prints[0] != prints[1]:
            raise DataError(
                f"{str(run.job.workdir)!r} was run on other images than "
                f"{str(first.job.workdir)!r} (fingerprint {prints[0][:12]}, "
                f"{prints[1][:12]}); give another --workdir"
            )
    classes = first.predictions.classes
    by_system = {
        key: [run for run in runs if run.job.system == key]
        for key in dict.fromkeys(job.system for job in jobs)
    }
    systems = {key: _system(plan, key, classes, by_system[key]) for key in by_system}
    return {
        "table": plan.table,
        "title": _title(plan),
        "kind": "measured",
        "scale": plan.scale,
        "systems": systems,
        "decided_by": decide_places(classes, systems),
        "paired": paired(systems, by_system),
        "about": [*remarks_on(plan), *_notes(plan)],
        "notes": [INTERVALS],
    }


def _system(
    plan: Plan, key: str, classes: Sequence[str], runs: Sequence[FinishedRun]
) -> dict[str, Any]:
    """One system's document: means over seeds in a fold, then over folds."""
    folds = list(dict.fromkeys(run.job.fold for run in runs))
    seeds = list(dict.fromkeys(run.job.seed for run in runs))
    parts = [[run.counts for run in runs if run.job.fold == fold] for fold in folds]
    smallest = np.array([part[0].support for part in parts]).max(axis=0)
    rare = [name for name, n in zip(classes, smallest, strict=True) if n < RARE]
    sample = np.array([[_rates(c) for c in part] for part in parts])  # [F, S, 3, N]
    means = np.array(
        [[_averages(c, classes, rare) for c in part] for part in parts]
    )  # [F, S, averages]
    # What varies: folds if there are several, else seeds.
    units, unit_means = (
        (_mean(sample, axis=1), means.mean(axis=1))
        if len(folds) > 1
        else (sample[0], means[0])
    )
    unit_averages = dict(zip(PAPER_AVERAGES, unit_means.T, strict=True))
    pooled = Counts(
        *(
            np.round(
                sum(np.mean([c[i] for c in part], axis=0) for part in parts)
            ).astype(int)
            for i in range(3)
        )
    )
    document = system(
        classes,
        ClassMetrics(*_mean(units, axis=0), None, pooled.support, None),
        rare,
        name=_name(plan, key),
        protocol=_protocol(folds, seeds, pooled),
        source="measured",
        counts=pooled,
        approximate=False,
        sd=_deviations(units),
    )
    several = len(folds) > 1 or len(seeds) > 1
    for name, values in unit_averages.items():
        document[name] = number_or_none(_mean(values, axis=0))
        if several:
            defined = values[~np.isnan(values)]
            if len(defined) > 1:
                document["sd"][name] = float(np.std(defined, ddof=1))
    first = runs[0].results
    return {
        **document,
        "network": first["network"],
        "pretrained_on": first["pretrained_on"],
        "n_train": first["n_train"],
        "parts": "folds" if len(folds) > 1 else "seeds",
        "by_part": {
            name: [number_or_none(value) for value in values]
            for name, values in unit_averages.items()
        },
        "runs": [run.job.workdir.name for run in runs],
    }


def _title(plan: Plan) -> str:
    title = TITLES[plan.table]
    if plan.scale == "paper":
        return title
    return f"{title.partition(',')[0]} (scale {plan.scale}, not the paper's)"


def _name(plan: Plan, key: str) -> str:
    """The system's name; what saw the test images says so wherever it stands."""
    if TABLES[plan.table][key].labels or plan.pretrain_on == "train":
        return NAMES[key]
    return f"{NAMES[key]} (pretrained on all)"


def _protocol(folds: list, seeds: list, pooled: Counts) -> str:
    where = f"{len(folds)} of five folds" if len(folds) < FOLDS else "five folds"
    where = "one 80/20 split" if folds == [None] else where
    more = f", {len(seeds)} seeds" if len(seeds) > 1 else ""
    return f"{where}{more}, {pooled.support.sum():,} test images"


def _notes(plan: Plan) -> list[str]:
    folds, seeds = len(plan.folds), len(plan.seeds)
    notes = []
    if folds > 1:
        each = ", each the mean of its seeds" if seeds > 1 else ""
        notes.append(
            f"Means ± sample standard deviations over {folds} folds{each}; intervals "
            "from the counts of all folds together."
        )
    elif seeds > 1:
        notes.append(
            f"Means ± sample standard deviations over {seeds} seeds on one test part, "
            "which is another thing than a deviation over folds; intervals from the "
            "seeds' mean counts."
        )
    return notes


def _rates(counts: Counts) -> np.ndarray:
    """Precision, recall and F1, float [3, N]; NaN for a class without test images.

    A class that is present and never predicted has precision and F1 zero, as in the
    authors' code.
    """
    metrics = metrics_of_counts(*counts)
    return np.where(
        counts.support > 0, [getattr(metrics, key) for key in METRICS], np.nan
    )


def _averages(
    counts: Counts, classes: Sequence[str], rare: Sequence[str]
) -> list[float]:
    """PAPER_AVERAGES of one test part; NaN where one is not defined."""
    means = paper_averages(metrics_of_counts(*counts), classes, rare)
    return [float(means.get(name, np.nan)) for name in PAPER_AVERAGES]


def _deviations(units: np.ndarray) -> dict[str, np.ndarray] | None:
    """Sample deviations over the first axis; NaN where fewer than two are there."""
    if len(units) < 2:
        return None
    present = (~np.isnan(units)).sum(axis=0)
    squares = np.nansum((units - _mean(units, axis=0)) ** 2, axis=0)
    sd = np.sqrt(squares / np.maximum(present - 1, 1))
    sd = np.where(present > 1, sd, np.nan)
    return dict(zip(METRICS, sd, strict=True))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without NaN; NaN where there is nothing else."""
    present = (~np.isnan(values)).sum(axis=axis)
    total = np.nansum(values, axis=axis)
    return np.where(present > 0, total / np.maximum(present, 1), np.nan)
