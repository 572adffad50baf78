"""An experiment of small runs: a list of runs in, figures.json and RESULT.md out.

A module of this package says in an `Experiment`, which has the module's name in
capitals, what is run and what is shown; `main` makes the runs that are missing,
evaluates them and writes the page. Every run is resumable: the same command continues
it.
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from bmjax.console.command import run_command
from bmjax.data.matek import class_name
from bmjax.errors import DONE
from bmjax.evals.assess import compare
from bmjax.evals.classification import classification_metrics, f1_by_frequency, thirds
from bmjax.evals.over_runs import FoldDifference, mean_and_sd, paired_over_folds
from bmjax.evals.predictions import Predictions
from bmjax.files import write_whole
from bmjax.main import main as train
from bmjax.report.panels import panels_file
from bmjax.report.run_files import Series, read_run_files
from bmjax.report.table_formats import Table, markdown_table
from bmjax.report.words import NONE, with_sd
from experiments.small_systems import Baseline, ShownRun, of_baseline, of_linear_probe

_DESCRIBED = (  # keys of results.json
    "network",
    "split",
    "fold",
    "n_train",
    "n_test",
    "data_fingerprint",
    "train_counts",
    "test_counts",
)


class Experiment(NamedTuple):
    """What is run and what is shown.

    Attributes:
        folder: of the results, named by date and module.
        title: of the page.
        runs: arguments of bmjax.main by name, without workdir, data, fold and seed;
            `{NAME}` in one is the folder of the run NAME of the same fold and seed,
            which is then made before.
        about: a paragraph on the page; names in braces are keys of figures.json.
        rows: the systems by key, baselines after the runs.
        metrics: shown ones and the titles of their columns.
        pairs: keys of the systems whose difference is shown.
        seeds: of every run.
        folds: of every run.
        data: whether --data is asked for; if not, the runs draw their own cells.
        curves: names in metrics.jsonl that are kept.
        drawn: key of the system whose curves are drawn; "" for none.
    """

    folder: str
    title: str
    runs: dict[str, tuple[str, ...]]
    about: str = ""
    rows: dict[str, ShownRun | Baseline] = {}  # noqa: RUF012 a field, never changed
    metrics: dict[str, str] = {}  # noqa: RUF012
    pairs: tuple[tuple[str, str], ...] = ()
    seeds: tuple[int, ...] = (0,)
    folds: tuple[int, ...] = (0,)
    data: bool = True
    curves: tuple[str, ...] = ()
    drawn: str = ""

    @property
    def module(self) -> str:
        """The name of the module."""
        return self.folder[11:].replace("-", "_")

    @property
    def out(self) -> Path:
        """Where the results are stored."""
        return Path(__file__).parent / self.folder


def main(experiment: Experiment, description: str | None) -> int:
    """Make the runs that are missing, write the results, and return an exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{experiment.module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if experiment.data:
        parser.add_argument("--data", required=True, help="folder of real cells")
    parser.add_argument("--workdir", required=True, type=Path, help="of the runs")
    parser.add_argument(
        "--out", type=Path, default=experiment.out, help="of the results"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs at a time, each a process of its own; default: 1, in this process",
    )
    options = parser.parse_args()
    data = options.data if experiment.data else None
    if code := make_runs(experiment, options.workdir, data, options.jobs):
        return code
    return run_command(lambda: write_results(experiment, options.workdir, options.out))


def make_runs(
    experiment: Experiment,
    workdir: Path,
    data: str | None,
    jobs: int = 1,
    *,
    seeds: Sequence[int] = (),
) -> int:
    """Make the runs that are missing, and return the exit code of one that failed.

    Args:
        experiment: whose runs.
        workdir: of all of them.
        data: folder of the images; None where the runs draw their own.
        jobs: runs at a time. More than one are processes of their own, each of which
            has its share of the processor's cores and writes what it says into NAME.log
            beside its folder.
        seeds: those whose runs are made; none: all of the experiment.
    """
    commands = _commands(experiment, workdir, data, seeds or experiment.seeds)
    if jobs == 1:
        codes = (train(given) for given in commands.values())
        return next((code for code in codes if code), DONE)
    workdir.mkdir(parents=True, exist_ok=True)
    made: dict[Path, Future[int]] = {}

    def make(folder: Path) -> int:
        needed = [other for other in commands if _needs(commands[folder], other)]
        if code := next((c for other in needed if (c := made[other].result())), DONE):
            return code
        with folder.with_suffix(".log").open("a") as log:
            command = [sys.executable, "-m", "bmjax.main", *commands[folder]]
            return subprocess.run(command, stdout=log, stderr=log).returncode

    # A run that another one needs comes before it, so that no thread waits for one
    # that has not begun.
    shares: SimpleQueue[set[int]] = SimpleQueue()
    for share in shares_of_cores(jobs):
        shares.put(share)
    with ThreadPoolExecutor(
        jobs, initializer=_keep_to_cores, initargs=(shares,)
    ) as pool:
        for folder in commands:
            made[folder] = pool.submit(make, folder)
    failed = {folder: code for folder in made if (code := made[folder].result())}
    for folder, code in failed.items():
        print(f"{folder.name}: exit code {code}; see {folder.with_suffix('.log')}")
    return next(iter(failed.values()), DONE)


def shares_of_cores(jobs: int) -> list[set[int]]:
    """The cores of each of so many jobs, as equal as may be.

    Two runs that each use all cores wait for each other's threads in every operation.
    None where the system does not say which there are, or has fewer than jobs.
    """
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return []
    cores = sorted(os.sched_getaffinity(0))
    return [set(cores[job::jobs]) for job in range(jobs)] if jobs <= len(cores) else []


def _keep_to_cores(shares: SimpleQueue[set[int]]) -> None:
    """Keep this thread, and the processes that it starts, to a share of the cores."""
    if not shares.empty():
        os.sched_setaffinity(0, shares.get())


def _commands(
    experiment: Experiment, workdir: Path, data: str | None, seeds: Sequence[int]
) -> dict[Path, list[str]]:
    """The arguments of every run, by its folder."""
    commands = {}
    # Fold by fold, so that folds are whole wherever it is stopped.
    for seed, fold in itertools.product(seeds, experiment.folds):
        folders = {
            name: run_folder(experiment, workdir, name, seed, fold)
            for name in experiment.runs
        }
        for name, arguments in experiment.runs.items():
            given = [argument.format(**folders) for argument in arguments]
            given += [f"--workdir={folders[name]}", f"--config.seed={seed}"]
            if len(experiment.folds) > 1:
                given.append(f"--config.data.fold={fold}")
            if data is not None:
                given.append(f"--config.data.root={data}")
            commands[folders[name]] = given
    return commands


def _needs(arguments: list[str], other: Path) -> bool:
    return f"--config.init_from={other}" in arguments


def write_results(experiment: Experiment, workdir: Path, out: Path) -> None:
    """Write figures.json and what is made of it into a folder; print the page."""
    stored = collect(experiment, workdir)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "figures.json", json.dumps(stored, indent=1) + "\n")
    for name, text in result_files(experiment, stored).items():
        write_whole(out / name, text)
    print(result_page(experiment, stored))


def run_folder(
    experiment: Experiment, workdir: Path, name: str, seed: int, fold: int = 0
) -> Path:
    """The folder of one run; seed and fold are in the name where there are several."""
    if len(experiment.seeds) > 1:
        name += f"-{seed}"
    if len(experiment.folds) > 1:
        name += f"-fold-{fold}"
    return workdir / name


def collect(experiment: Experiment, workdir: Path) -> dict[str, Any]:
    """Evaluate the finished runs and the baselines: the contents of figures.json."""
    rows: dict[str, list[dict[str, Any]]] = {}
    shown: dict[str, Predictions] = {}
    for key, row in experiment.rows.items():
        rows[key] = []
        runs = list(itertools.product(experiment.seeds, experiment.folds))
        for seed, fold in runs if isinstance(row, ShownRun) else ():
            folder = run_folder(experiment, workdir, row.run, seed, fold)
            run = read_run_files(folder)
            results = run.results
            shown[key] = of_linear_probe(folder, run) if row.probe else run.predictions
            about = {
                "seed": seed,
                "fold": fold,
                "minutes": round(results["seconds"] / 60, 1),
                "knn_20": results["probe"]["knn_20"]["accuracy"],
                "params_sha256": results["params_sha256"],
                "curve": {
                    series.name: [series.steps, np.round(series.values, 4).tolist()]
                    for series in run.series
                    if series.name in experiment.curves
                },
            }
            metrics = _metrics(experiment, shown[key], results["train_counts"])
            rows[key].append(metrics | about)
        if isinstance(row, Baseline):
            shown[key] = of_baseline(row, folder, run)
            rows[key] = [_metrics(experiment, shown[key], results["train_counts"])]
    return {
        **{key: results[key] for key in _DESCRIBED},
        "versions": {key: results["versions"][key] for key in ("jax", "flax", "numpy")},
        "rows": rows,
        "differences": _differences(experiment, shown),
    }


def _metrics(
    experiment: Experiment, predictions: Predictions, train_counts: dict[str, int]
) -> dict[str, Any]:
    """The metrics that are shown, and F1 by class."""
    metrics = classification_metrics(
        predictions.labels, predictions.predicted, predictions.classes
    )
    metrics |= f1_by_frequency(metrics["per_class"], train_counts)
    by_class = {entry["abbreviation"]: entry["f1"] for entry in metrics["per_class"]}
    return {key: metrics[key] for key in experiment.metrics} | {"f1": by_class}


def _differences(
    experiment: Experiment, predictions: dict[str, Predictions]
) -> list[dict[str, Any]]:
    """Paired intervals over images, where every system was trained once."""
    if len(experiment.seeds) * len(experiment.folds) > 1:
        return []
    entries = []
    for first, second in experiment.pairs:
        metrics = compare(predictions[first], predictions[second])["metrics"]
        ends = {
            key: [metrics[key]["difference"], *metrics[key]["interval"]]
            for key in experiment.metrics
            if key in metrics and metrics[key]["interval"]
        }
        entries.append({"first": first, "second": second, **ends})
    return entries


def result_files(experiment: Experiment, stored: dict[str, Any]) -> dict[str, str]:
    """The text of RESULT.md and, where curves are drawn, of curve.svg, by name."""
    files = {"RESULT.md": result_page(experiment, stored)}
    if experiment.drawn:
        curve = stored["rows"][experiment.drawn][0]["curve"]
        files["curve.svg"] = panels_file(
            [
                Series(name, list(map(float, steps)), values)
                for name, (steps, values) in curve.items()
            ]
        )
    return files


def result_page(experiment: Experiment, stored: dict[str, Any]) -> str:
    """RESULT.md: systems, their differences and F1 by class, in Markdown."""
    groups = thirds(list(stored["train_counts"]), stored["train_counts"])
    named = {name: ", ".join(members) for name, members in groups.items()}
    titles = {key: row.title for key, row in experiment.rows.items()}
    neighbors = [
        f"{titles[key]} {runs[0]['knn_20']:.3f}"
        for key, runs in stored["rows"].items()
        if len(runs) == 1 and "knn_20" in runs[0]
    ]
    tables = [_systems(experiment, stored, titles)]
    if experiment.pairs:
        tables.append(_pairs(experiment, stored, titles))
    parts = [
        f"# {experiment.title}: metrics",
        f"Written by `python -m experiments.{experiment.module}`; README.md has the "
        "verdict.",
        experiment.about.format(**stored, **named),
        *map(markdown_table, [*tables, _classes(stored, titles)]),
    ]
    if neighbors:
        parts.append(
            "k nearest neighbors (k = 20, cosine) on the same features: "
            f"{', '.join(neighbors)} accuracy."
        )
    return "\n\n".join(parts) + "\n"


def _systems(
    experiment: Experiment, stored: dict[str, Any], titles: dict[str, str]
) -> Table:
    rows = []
    for key, runs in stored["rows"].items():
        shown = [mean_sd([run[name] for run in runs]) for name in experiment.metrics]
        minutes = max(run.get("minutes", math.nan) for run in runs)
        longest = NONE if math.isnan(minutes) else f"{minutes:.0f}"
        rows.append((titles[key], *shown, longest))
    caption = "One run each"
    if of := _several(experiment):
        caption = f"Mean ± standard deviation of {of}; minutes of the longest"
    columns = ("system", *experiment.metrics.values(), "minutes")
    return Table(caption, (), columns, tuple(rows))


def _several(experiment: Experiment) -> str:
    """What the runs of a system differ in."""
    seeds, folds = len(experiment.seeds), len(experiment.folds)
    named = [f"{seeds} seeds"] * (seeds > 1) + [f"{folds} folds"] * (folds > 1)
    return " and ".join(named)


def _pairs(
    experiment: Experiment, stored: dict[str, Any], titles: dict[str, str]
) -> Table:
    """Differences of systems: over images or folds with intervals, or run by run."""
    intervals = {(e["first"], e["second"]): e for e in stored["differences"]}
    rows = []
    for pair in experiment.pairs:
        runs = list(zip(*(stored["rows"][key] for key in pair), strict=True))
        cells = [" - ".join(titles[key] for key in pair)]
        for name in experiment.metrics:
            text = mean_sd([first[name] - second[name] for first, second in runs], "+")
            if ends := intervals.get(pair, {}).get(name):
                text += f" ({ends[1]:+.3f} to {ends[2]:+.3f})"
            elif len(experiment.folds) > 1:
                low, high = _fold_interval(runs, name)
                text += f" ({low:+.3f} to {high:+.3f})"
            cells.append(text)
        rows.append(tuple(cells))
    caption = "Differences seed by seed"
    if intervals:
        caption = (
            "Differences on the same test images, with 95 % intervals of a paired "
            "bootstrap over images"
        )
    if len(experiment.folds) > 1:
        caption = (
            f"Differences run by run over {_several(experiment)}, with 95 % intervals "
            "over folds by Nadeau and Bengio's corrected t"
        )
    columns = ("difference", *experiment.metrics.values())
    return Table(caption, (), columns, tuple(rows))


def _fold_interval(
    runs: list[tuple[dict[str, Any], ...]], name: str
) -> tuple[float, float]:
    one, other = (
        {(run[which]["fold"], run[which]["seed"]): run[which][name] for run in runs}
        for which in (0, 1)
    )
    found = seed_mean_difference(one, other)
    assert found is not None
    return found.corrected_interval


def seed_mean_difference(
    first: dict[tuple[int, int], float],
    second: dict[tuple[int, int], float],
    *,
    test_over_train: float | None = None,
) -> FoldDifference | None:
    """The difference of a metric whose seeds are averaged in each fold.

    Args:
        first: the metric by fold and seed.
        second: likewise; what both have is compared.
        test_over_train: of `paired_over_folds`.

    Returns:
        None where they have fewer than two folds in common.
    """
    both = sorted(first.keys() & second.keys())
    folds = sorted({fold for fold, _ in both})
    if len(folds) < 2:
        return None
    means = [
        [float(np.mean([of[p] for p in both if p[0] == fold])) for fold in folds]
        for of in (first, second)
    ]
    return paired_over_folds(*means, test_over_train=test_over_train)


def _classes(stored: dict[str, Any], titles: dict[str, str]) -> Table:
    """F1 by class, the class with the most training images first."""
    train, test = stored["train_counts"], stored["test_counts"]
    rows = []
    for name in sorted(train, key=lambda name: (-train[name], name)):
        f1 = [
            mean_sd([np.mean([run["f1"][name] for run in runs])])
            for runs in stored["rows"].values()
        ]
        label = " ".join(dict.fromkeys([name, class_name(name)]))
        rows.append((label, f"{train[name]:,}", f"{test[name]:,}", *f1))
    columns = ("class", "train", "test", *(titles[key] for key in stored["rows"]))
    return Table("F1 by class, mean of the runs", (), columns, tuple(rows))


def mean_sd(values: Iterable[float], sign: str = "") -> str:
    """Mean and sample standard deviation of numbers; a dash where there are none."""
    values = list(values)
    if not values:
        return NONE
    mean, sd = map(float, mean_and_sd(values))
    return with_sd(mean, sd, sign=sign)
