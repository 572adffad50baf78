"""Finished runs as systems like the published ones: means, deviations, differences."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.matek import RARE
from bmjax.data.splits.make_split import FOLDS
from bmjax.errors import DataError
from bmjax.evals.assess import compare
from bmjax.evals.class_counts import CLASS_METRICS, class_averages, decide_places
from bmjax.evals.classification import number_or_none
from bmjax.evals.confusion import (
    AVERAGE_TITLES,
    ClassMetrics,
    Counts,
    confusion_matrix,
    counts_of,
    metrics_of_counts,
)
from bmjax.evals.over_runs import mean_and_sd, paired_over_folds
from bmjax.report.pooled_folds import difference_over_folds
from bmjax.report.ranking_section import comparison_sentences
from bmjax.report.run_files import RunFiles, read_run_files
from bmjax.report.sections import disagreements
from experiments.tables.paper import (
    INTERVALS,
    PAPER_AVERAGES,
    SMALLEST,
    SYSTEM_NAMES,
    TABLE_TITLES,
    system_of,
)
from experiments.tables.plans import TABLES, Job, Plan, remarks_on

_FOLD_AVERAGES = ("macro_f1", "macro_f1_without_rare", "accuracy")
_NEEDED = ("data_fingerprint", "network", "n_train", "n_test", "pretrained_on")


class FinishedRun(NamedTuple):
    """A run of a plan, its files, and the counts of its predictions."""

    job: Job
    files: RunFiles
    counts: Counts


def read_finished(job: Job) -> FinishedRun:
    """Read a finished run.

    Raises:
        DataError: the run is not finished, its files do not agree, or it is of the
            other kind of pretraining.
    """
    name = str(job.workdir)
    if not (job.workdir / "report.html").exists():
        raise DataError(
            f"the run in {name!r} is not finished; start the same command without "
            "--no-run"
        )
    files = read_run_files(job.workdir)
    results, predictions = files.results, files.predictions
    if missing := [key for key in _NEEDED if key not in results]:
        raise DataError(
            f"results.json in {name!r} cannot be used (it lacks {', '.join(missing)}); "
            "move the folder away and run it again"
        )
    confusion = confusion_matrix(
        predictions.labels, predictions.predicted, len(predictions.classes)
    )
    if wrong := disagreements(files, float(np.trace(confusion) / confusion.sum())):
        raise DataError(
            f"the run in {name!r} cannot be used: {wrong[0]} Move the folder away and "
            "run it again"
        )
    pretrained_on = results["pretrained_on"]
    if f"pretrained_on_{pretrained_on}" not in name and "pretrained_on" in name:
        raise DataError(
            f"the run in {name!r} was pretrained on {pretrained_on!r}, which is not "
            "what its folder says; the two kinds are not mixed"
        )
    return FinishedRun(job, files, counts_of(confusion))


def measured_table(plan: Plan, jobs: Sequence[Job]) -> dict[str, Any]:
    """The document of a table's finished runs, shaped as `published_table`'s.

    Raises:
        DataError: a run is not finished, its files do not agree, or the runs were made
            on different images.
    """
    runs = [read_finished(job) for job in jobs]
    first, *others = ((run, run.files.results["data_fingerprint"]) for run in runs)
    for run, fingerprint in others:
        if fingerprint != first[1]:
            raise DataError(
                f"{str(run.job.workdir)!r} was run on other images than "
                f"{str(first[0].job.workdir)!r} (fingerprint {fingerprint[:12]}, "
                f"{first[1][:12]}); give another --workdir"
            )
    by_system = {
        key: [run for run in runs if run.job.system == key]
        for key in dict.fromkeys(job.system for job in jobs)
    }
    systems = {key: _system(plan, key, by_system[key]) for key in by_system}
    title = TABLE_TITLES[plan.table]
    if plan.scale != "paper":
        title = f"{title.partition(',')[0]} (scale {plan.scale}, not the paper's)"
    return {
        "table": plan.table,
        "title": title,
        "kind": "measured",
        "scale": plan.scale,
        "systems": systems,
        "decided_by": decide_places(systems),
        "paired": _paired(systems, by_system),
        "about": [*remarks_on(plan), *_means_of(plan)],
        "notes": [INTERVALS],
    }


def _system(plan: Plan, key: str, runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """One system: means over the seeds of a fold, then over folds."""
    folds = list(dict.fromkeys(run.job.fold for run in runs))
    classes = runs[0].files.predictions.classes
    parts = [[run.counts for run in runs if run.job.fold == fold] for fold in folds]
    smallest = np.array([part[0].support for part in parts]).max(axis=0)
    rare = [name for name, n in zip(classes, smallest, strict=True) if n < RARE]
    values = np.array(
        [[_values(counts, classes, rare) for counts in part] for part in parts]
    )
    # What varies: folds if there are several, else seeds.
    units = mean_and_sd(values.swapaxes(0, 1))[0] if len(folds) > 1 else values[0]
    means, sd = mean_and_sd(units)
    count = len(PAPER_AVERAGES)
    rates = means[count:].reshape(3, -1)
    spreads = dict(zip(CLASS_METRICS, sd[count:].reshape(3, -1), strict=True))
    pooled = Counts(
        *(
            np.round(sum(np.mean([c[i] for c in part], axis=0) for part in parts))
            for i in range(3)
        )
    )
    pooled = Counts(*(part.astype(int) for part in pooled))
    results, name = runs[0].files.results, SYSTEM_NAMES[key]
    if not TABLES[plan.table][key].labels and plan.pretrain_on != "train":
        name = f"{name} (pretrained on all)"
    seeds = len(parts[0])
    where = f"{len(folds)} of five folds" if len(folds) < FOLDS else "five folds"
    where = "one 80/20 split" if folds == [None] else where
    where += f", {seeds} seeds" if seeds > 1 else ""
    averages = dict(zip(PAPER_AVERAGES, map(number_or_none, means), strict=False))
    deviations = zip(PAPER_AVERAGES, sd[:count].tolist(), strict=True)
    return system_of(
        key,
        ClassMetrics(*rates, None, pooled.support, None),
        pooled,
        classes=classes,
        rare=rare,
        sd=spreads if len(units) > 1 else None,
        protocol=f"{where}, {pooled.support.sum():,} test images",
        source="measured",
        network=results["network"],
        pretrained_on=results["pretrained_on"],
        n_train=results["n_train"],
        parts="folds" if len(folds) > 1 else "seeds",
        by_part={
            average: [number_or_none(value) for value in column]
            for average, column in zip(PAPER_AVERAGES, units.T, strict=False)
        },
        runs=[run.job.workdir.name for run in runs],
    ) | {
        "name": name,
        **averages,
        "sd": {average: value for average, value in deviations if not np.isnan(value)},
    }


def _values(counts: Counts, classes: Sequence[str], rare: Sequence[str]) -> np.ndarray:
    """PAPER_AVERAGES of one test part, then precision, recall and F1 by class.

    NaN where one is not defined. A class that is present and never predicted has
    precision and F1 zero, as in the authors' code.
    """
    metrics = metrics_of_counts(*counts)
    means = class_averages(metrics, classes, {SMALLEST: [SMALLEST], "rare": rare})
    rates = [getattr(metrics, name) for name in CLASS_METRICS]
    rates = np.where(counts.support > 0, rates, np.nan)
    return np.array([*(means[name] for name in PAPER_AVERAGES), *rates.ravel()], float)


def _means_of(plan: Plan) -> list[str]:
    folds, seeds = len(plan.folds), len(plan.seeds)
    if folds > 1:
        each = ", each the mean of its seeds" if seeds > 1 else ""
        return [
            f"Means ± sample standard deviations over {folds} folds{each}; intervals "
            "from the counts of all folds together."
        ]
    if seeds > 1:
        return [
            f"Means ± sample standard deviations over {seeds} seeds on one test part, "
            "which is another thing than a deviation over folds; intervals from the "
            "seeds' mean counts."
        ]
    return []


def _paired(
    systems: dict[str, dict[str, Any]], runs: dict[str, list[FinishedRun]]
) -> list[dict[str, Any]]:
    """Every two systems against each other, as far as their runs allow it.

    On one test part with one run each: `evals.assess.compare`. Over folds: Nadeau and
    Bengio's corrected interval of the difference. Several seeds on one test part are
    compared by their deviations alone.
    """
    entries = []
    for first, second in combinations(systems, 2):
        pair = {"first": first, "second": second}
        names = (systems[first]["name"], systems[second]["name"])
        if len(runs[first]) == 1:
            both = (runs[key][0].files.predictions for key in (first, second))
            comparison = compare(*both, names=names)
            # What decides the ranking stands with those of the other systems.
            sentences = list(filter(None, comparison_sentences(comparison)[1:]))
            entries.append({**comparison, **pair, "sentences": sentences})
        elif systems[first]["parts"] == "folds":
            for average in _FOLD_AVERAGES:
                values = [systems[key]["by_part"][average] for key in (first, second)]
                if None in (*values[0], *values[1]):
                    continue
                over = paired_over_folds(*values)
                said = (
                    f"{names[0]} and {names[1]}, {AVERAGE_TITLES[average]}: "
                    f"{difference_over_folds(over)}"
                )
                entry = {**over._asdict(), **pair, "average": average}
                entries.append({**entry, "sentences": [said]})
    return entries
