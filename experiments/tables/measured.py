"""Finished runs as documents: counts of each test part, means and deviations."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.data.matek import RARE
from bmjax.data.splits.make_split import FOLDS
from bmjax.errors import DataError
from bmjax.evals.ranking import Counts
from experiments.tables.counts import AVERAGES, averages, rates
from experiments.tables.derived import INTERVALS, NAMES, TITLES
from experiments.tables.document import FIGURES, system
from experiments.tables.finished import read_run
from experiments.tables.paired import paired
from experiments.tables.ranking import decided_by
from experiments.tables.systems import TABLES, Job, Plan, describe


def measured_table(plan: Plan, jobs: Sequence[Job]) -> dict[str, Any]:
    """The document of a table's finished runs, shaped as `published_table`'s.

    Raises:
        DataError: a run is not finished, its files do not agree or hold what is no
            number, or the runs were made on different images.
    """
    found = [(job, *read_run(job)) for job in jobs]
    first = found[0][1]
    for job, results, _ in found:
        if results["data_fingerprint"] != first["data_fingerprint"]:
            raise DataError(
                f"{str(job.workdir)!r} was run on other images than "
                f"{str(found[0][0].workdir)!r} (fingerprint "
                f"{results['data_fingerprint'][:12]}, "
                f"{first['data_fingerprint'][:12]}); give another --workdir"
            )
    classes = [entry["abbreviation"] for entry in first["per_class"]]
    systems, tables = {}, {}
    for key in dict.fromkeys(job.system for job in jobs):
        runs = [entry for entry in found if entry[0].system == key]
        systems[key] = _system(plan, key, classes, runs)
        tables[key] = [job.workdir / "predictions.csv" for job, _, _ in runs]
    return {
        "table": plan.table,
        "title": _title(plan),
        "kind": "measured",
        "scale": plan.scale,
        "systems": systems,
        "decided_by": decided_by(classes, systems),
        "paired": paired(systems, tables),
        "about": [*describe(plan), *_notes(plan)],
        "notes": [INTERVALS],
    }


def _system(
    plan: Plan, key: str, classes: list[str], runs: Sequence[tuple[Job, dict, Counts]]
) -> dict[str, Any]:
    """One system's document: means over seeds in a fold, then over folds."""
    folds = list(dict.fromkeys(job.fold for job, _, _ in runs))
    seeds = list(dict.fromkeys(job.seed for job, _, _ in runs))
    parts = [[c for job, _, c in runs if job.fold == fold] for fold in folds]
    sample = np.array([[rates(c) for c in part] for part in parts])  # [F, S, 3, N]
    smallest = np.array([part[0].support for part in parts]).max(axis=0)
    rare = [name for name, n in zip(classes, smallest, strict=True) if n < RARE]
    each = [
        averages(
            classes, part[0].support, rare, **dict(zip(FIGURES, found, strict=True))
        )
        for part, values in zip(parts, sample, strict=True)
        for found in values
    ]
    # What varies: folds if there are several, else seeds.
    units = _mean(sample, axis=1) if len(folds) > 1 else sample[0]
    unit_averages = {
        name: np.array([row.get(name, np.nan) for row in each], float)
        for name in AVERAGES
    }
    if len(folds) > 1:
        unit_averages = {
            name: values.reshape(len(folds), len(seeds)).mean(axis=1)
            for name, values in unit_averages.items()
        }
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
        pooled.support,
        rare,
        dict(zip(FIGURES, _mean(units, axis=0), strict=True)),
        name=_name(plan, key),
        protocol=_protocol(folds, seeds, pooled),
        source="measured",
        counts=pooled,
        approximate=False,
        sd=_deviations(units),
    )
    several = len(folds) > 1 or len(seeds) > 1
    for name, values in unit_averages.items():
        document[name] = _number(_mean(values, axis=0))
        if several:
            there = values[~np.isnan(values)]
            if len(there) > 1:
                document["sd"][name] = float(np.std(there, ddof=1))
    first = runs[0][1]
    return {
        **document,
        "network": first["network"],
        "pretrained_on": first["pretrained_on"],
        "n_train": first["n_train"],
        "parts": "folds" if len(folds) > 1 else "seeds",
        "by_part": {
            name: [_number(value) for value in values]
            for name, values in unit_averages.items()
        },
        "runs": [job.workdir.name for job, _, _ in runs],
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


def _deviations(units: np.ndarray) -> dict[str, np.ndarray] | None:
    """Sample deviations over the first axis; NaN where fewer than two are there."""
    if len(units) < 2:
        return None
    there = (~np.isnan(units)).sum(axis=0)
    squares = np.nansum((units - _mean(units, axis=0)) ** 2, axis=0)
    sd = np.sqrt(squares / np.maximum(there - 1, 1))
    sd = np.where(there > 1, sd, np.nan)
    return dict(zip(FIGURES, sd, strict=True))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without NaN; NaN where there is nothing else."""
    there = (~np.isnan(values)).sum(axis=axis)
    total = np.nansum(values, axis=axis)
    return np.where(there > 0, total / np.maximum(there, 1), np.nan)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
