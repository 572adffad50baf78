"""An experiment of small runs: a list of runs in, figures.json and RESULT.md out.

A module of this package says in an `Experiment`, which has the module's name in
capitals, what is run and what is shown; `main` makes the runs that are missing,
evaluates them and writes the page. Every run is resumable: the same command continues
it.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.console.command import run_command
from bmjax.data.matek import class_name
from bmjax.evals.assess import compare
from bmjax.evals.classification import classification_metrics, f1_by_frequency, thirds
from bmjax.evals.over_runs import mean_and_sd
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
        about: a paragraph on the page; names in braces are keys of figures.json.
        runs: arguments of bmjax.main by name, without workdir, data and seed.
        rows: the systems by key, baselines after the runs.
        metrics: shown ones and the titles of their columns.
        pairs: keys of the systems whose difference is shown.
        seeds: of every run.
        data: whether --data is asked for; if not, the runs draw their own cells.
        curves: names in metrics.jsonl that are kept.
        drawn: key of the system whose curves are drawn; "" for none.
    """

    folder: str
    title: str
    about: str
    runs: dict[str, tuple[str, ...]]
    rows: dict[str, ShownRun | Baseline]
    metrics: dict[str, str]
    pairs: tuple[tuple[str, str], ...] = ()
    seeds: tuple[int, ...] = (0,)
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
    options = parser.parse_args()
    for seed in experiment.seeds:
        for name, arguments in experiment.runs.items():
            folder = run_folder(experiment, options.workdir, name, seed)
            given = [*arguments, f"--workdir={folder}", f"--config.seed={seed}"]
            if experiment.data:
                given.append(f"--config.data.root={options.data}")
            if code := train(given):
                return code
    return run_command(lambda: write_results(experiment, options.workdir, options.out))


def write_results(experiment: Experiment, workdir: Path, out: Path) -> None:
    """Write figures.json and what is made of it into a folder; print the page."""
    stored = collect(experiment, workdir)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "figures.json", json.dumps(stored, indent=1) + "\n")
    for name, text in result_files(experiment, stored).items():
        write_whole(out / name, text)
    print(result_page(experiment, stored))


def run_folder(experiment: Experiment, workdir: Path, name: str, seed: int) -> Path:
    """The folder of one run; its seed is in the name where there are several."""
    return workdir / (f"{name}-{seed}" if len(experiment.seeds) > 1 else name)


def collect(experiment: Experiment, workdir: Path) -> dict[str, Any]:
    """Evaluate the finished runs and the baselines: the contents of figures.json."""
    rows: dict[str, list[dict[str, Any]]] = {}
    shown: dict[str, Predictions] = {}
    for key, row in experiment.rows.items():
        rows[key] = []
        for seed in experiment.seeds if isinstance(row, ShownRun) else ():
            folder = run_folder(experiment, workdir, row.run, seed)
            run = read_run_files(folder)
            results = run.results
            shown[key] = of_linear_probe(folder, run) if row.probe else run.predictions
            about = {
                "seed": seed,
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
    if len(experiment.seeds) > 1:
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
        shown = [_mean_sd([run[name] for run in runs]) for name in experiment.metrics]
        minutes = max(run.get("minutes", math.nan) for run in runs)
        longest = NONE if math.isnan(minutes) else f"{minutes:.0f}"
        rows.append((titles[key], *shown, longest))
    caption = "One run each"
    if (seeds := len(experiment.seeds)) > 1:
        caption = f"Mean ± standard deviation of {seeds} seeds; minutes of the longest"
    columns = ("system", *experiment.metrics.values(), "minutes")
    return Table(caption, (), columns, tuple(rows))


def _pairs(
    experiment: Experiment, stored: dict[str, Any], titles: dict[str, str]
) -> Table:
    """Differences of systems: over images, with intervals, or seed by seed."""
    intervals = {(e["first"], e["second"]): e for e in stored["differences"]}
    rows = []
    for pair in experiment.pairs:
        runs = list(zip(*(stored["rows"][key] for key in pair), strict=True))
        cells = [" - ".join(titles[key] for key in pair)]
        for name in experiment.metrics:
            text = _mean_sd([first[name] - second[name] for first, second in runs], "+")
            if ends := intervals.get(pair, {}).get(name):
                text += f" ({ends[1]:+.3f} to {ends[2]:+.3f})"
            cells.append(text)
        rows.append(tuple(cells))
    caption = "Differences seed by seed"
    if intervals:
        caption = (
            "Differences on the same test images, with 95 % intervals of a paired "
            "bootstrap over images"
        )
    columns = ("difference", *experiment.metrics.values())
    return Table(caption, (), columns, tuple(rows))


def _classes(stored: dict[str, Any], titles: dict[str, str]) -> Table:
    """F1 by class, the class with the most training images first."""
    train, test = stored["train_counts"], stored["test_counts"]
    rows = []
    for name in sorted(train, key=lambda name: (-train[name], name)):
        f1 = [
            _mean_sd([np.mean([run["f1"][name] for run in runs])])
            for runs in stored["rows"].values()
        ]
        label = " ".join(dict.fromkeys([name, class_name(name)]))
        rows.append((label, f"{train[name]:,}", f"{test[name]:,}", *f1))
    columns = ("class", "train", "test", *(titles[key] for key in stored["rows"]))
    return Table("F1 by class, mean of the runs", (), columns, tuple(rows))


def _mean_sd(values: Sequence[float], sign: str = "") -> str:
    mean, sd = map(float, mean_and_sd(values))
    return with_sd(mean, sd, sign=sign)
