"""The paper's claims on real cells: all ways to learn in one time, all read alike.

    python -m experiments.paper_claims --data=FOLDER --workdir=DIR --jobs=N

Nine systems on five folds with three seeds, at 64 pixels, beside a ridge regression on
pixels. Each training takes about as long as ten epochs of SwAV on the residual network,
so systems with fewer views or a smaller network see more epochs. `--seeds=0` makes the
runs of one seed alone, and the page then shows those. `--add` keeps what runs.json
already has of runs that are not in the workdir. Writes runs.json and RESULT.md into
experiments/2026-11-27-paper-claims (or --out=FOLDER).
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.console.command import run_command
from bmjax.evals.classification import classification_metrics, f1_by_frequency, thirds
from bmjax.evals.label_curves import (
    SplitFeatures,
    drawn_order,
    feature_scale,
    judge_labeled,
    labeled_rows,
)
from bmjax.evals.over_runs import FoldDifference
from bmjax.evals.predictions import Predictions
from bmjax.files import write_json, write_whole
from bmjax.report.run_files import RunFiles, read_run_files
from bmjax.report.table_formats import Table, markdown_table
from bmjax.report.words import NONE
from configs.common import MEAN, STD
from experiments.real_cells import REAL_CELLS, REAL_DATA, UNTRAINED
from experiments.small_runs import (
    Experiment,
    make_runs,
    mean_sd,
    run_folder,
    seed_mean_difference,
)
from experiments.small_systems import (
    Baseline,
    of_baseline,
    of_linear_probe,
    read_split,
)


class WayToLearn(NamedTuple):
    """A way to learn: its title, and its arguments of bmjax.main."""

    title: str
    arguments: tuple[str, ...]


class PaperClaim(NamedTuple):
    """A sentence, and the difference that would have to be above zero for it to hold.

    Attributes:
        sentence: of the paper, or ours.
        first: key of a system and of its readout.
        second: what is taken from it, or `PIXELS`.
        metric: of both.
    """

    sentence: str
    first: tuple[str, str]
    second: tuple[str, str]
    metric: str


# The same pixels for all, whatever a network's own preprocessing is.
_DATA = (
    *REAL_DATA,
    "--config.data.size=64",
    "--config.data.resize=area",
    f"--config.data.mean={MEAN}",
    f"--config.data.std={STD}",
    "--config.tsne.images=60",
    "--config.saliency.images=0",
)
_VIT_WARMUP = "--config.optim.warmup=1 epoch"  # a fifth of the run; :small has 2 of 40


def _training(epochs: int) -> tuple[str, ...]:
    return (*_DATA, f"--config.train.duration={epochs} epochs")


SYSTEMS = {
    "resnet_untrained": WayToLearn(
        "ResNet, untrained", ("--config=swav:small,resnet", *_DATA, *UNTRAINED)
    ),
    "vit_untrained": WayToLearn(
        "ViT, untrained", ("--config=swav:small", *_DATA, *UNTRAINED)
    ),
    "resnet_swav": WayToLearn(
        "ResNet, SwAV",
        (
            "--config=swav:small,resnet",
            *_training(10),
            "--config.method.queue_from=3 epochs",
        ),
    ),
    "resnet_supcon": WayToLearn(
        "ResNet, SupCon", ("--config=supcon:small", *_training(10))
    ),
    "resnet_supervised": WayToLearn(
        "ResNet, supervised", ("--config=supervised:small", *_training(20))
    ),
    "resnet_mixup": WayToLearn(
        "ResNet, supervised with mixup", ("--config=mixup:small", *_training(20))
    ),
    "vit_swav": WayToLearn(
        "ViT, SwAV",
        (
            "--config=swav:small",
            *_training(5),
            _VIT_WARMUP,
            "--config.method.queue_from=2 epochs",
        ),
    ),
    "vit_dino": WayToLearn(
        "ViT, DINO",
        (
            "--config=dino:vit,small",
            *_training(4),
            _VIT_WARMUP,
            "--config.method.teacher_temperature_warmup=1 epoch",
        ),
    ),
    "vit_supervised": WayToLearn(
        "ViT, supervised", ("--config=vit:small", *_training(10), _VIT_WARMUP)
    ),
}
PAPER_CLAIMS = Experiment(
    folder="2026-11-27-paper-claims",
    title="The paper's claims on real cells",
    runs={name: system.arguments for name, system in SYSTEMS.items()},
    seeds=(0, 1, 2),
    folds=(0, 1, 2, 3, 4),
)
_READOUTS = {
    "own": "own classifier",
    "linear": "linear",
    "logistic": "logistic",
    "knn_20": "20-NN",
}
# Not a system: no network, no seed.
PIXELS = ("pixels", "ridge")
CLAIMS = (
    PaperClaim(
        "SwAV and a linear classifier have a higher macro F1 than supervised training "
        "(the paper's Tables 3 and 4: each with its own classifier)",
        ("resnet_swav", "linear"),
        ("resnet_supervised", "own"),
        "macro_f1",
    ),
    PaperClaim(
        "the same, both read out by the linear classifier",
        ("resnet_swav", "linear"),
        ("resnet_supervised", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "SwAV has a higher macro F1 than SupCon (Table 4)",
        ("resnet_swav", "linear"),
        ("resnet_supcon", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "SwAV is fairer to rare classes than supervised training: F1 of the tail, each "
        "with its own classifier",
        ("resnet_swav", "linear"),
        ("resnet_supervised", "own"),
        "tail",
    ),
    PaperClaim(
        "the same, both read out by the linear classifier",
        ("resnet_swav", "linear"),
        ("resnet_supervised", "linear"),
        "tail",
    ),
    PaperClaim(
        "mixup adds to the macro F1 of supervised training (Table 3: it does not)",
        ("resnet_mixup", "own"),
        ("resnet_supervised", "own"),
        "macro_f1",
    ),
    PaperClaim(
        "SwAV learns: more than the untrained network (not in the paper)",
        ("resnet_swav", "linear"),
        ("resnet_untrained", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "the recipe `:small` learns: more than the untrained transformer (not in the "
        "paper)",
        ("vit_swav", "linear"),
        ("vit_untrained", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "the recipe `:small` has more than a ridge regression on 25 x 25 pixels (not "
        "in the paper)",
        ("vit_swav", "linear"),
        PIXELS,
        "macro_f1",
    ),
    PaperClaim(
        "SwAV on the residual network has more than that regression (not in the paper)",
        ("resnet_swav", "linear"),
        PIXELS,
        "macro_f1",
    ),
    PaperClaim(
        "the recipe `:small` learns more than SwAV on the residual network does in the "
        "same time (not in the paper)",
        ("vit_swav", "linear"),
        ("resnet_swav", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "the recipe `:small` reaches what labels reach on the residual network, both "
        "read out by the linear classifier (not in the paper)",
        ("vit_swav", "linear"),
        ("resnet_supervised", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "the recipe `:small` reaches what labels reach on the same transformer (not in "
        "the paper)",
        ("vit_swav", "linear"),
        ("vit_supervised", "linear"),
        "macro_f1",
    ),
    PaperClaim(
        "SwAV learns more than DINO on the transformer (not in the paper)",
        ("vit_swav", "linear"),
        ("vit_dino", "linear"),
        "macro_f1",
    ),
)
_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_f1_without_rare")
_GROUPS = ("head", "middle", "tail")
_PER_CLASS = (5, 20, None)  # labeled images of each class; None: all
_DRAWS = 3
_ABOUT = (
    "network",
    "parameters",
    "steps",
    "params_sha256",
    "split_digest",
    "n_train",
    "n_test",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs that are missing, write both files, and return an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.paper_claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, help="folder of real cells")
    add("--workdir", required=True, type=Path, help="of the runs")
    add("--out", type=Path, default=PAPER_CLAIMS.out, help="of the results")
    add("--jobs", type=int, default=1, metavar="N", help="runs at a time; default: 1")
    add("--seeds", default="0,1,2", metavar="N,N", help="default: 0,1,2")
    add("--add", action="store_true", help="to what runs.json has")
    options = parser.parse_args(arguments)
    seeds = tuple(map(int, options.seeds.split(",")))
    code = make_runs(
        PAPER_CLAIMS, options.workdir, options.data, options.jobs, seeds=seeds
    )
    if code:
        return code
    return run_command(lambda: _write(options.workdir, options.out, options.add))


def _write(workdir: Path, out: Path, add: bool) -> None:
    stored = {"runs": {}}
    if add and (out / "runs.json").exists():
        stored = json.loads((out / "runs.json").read_text())
    stored = collect_claims(workdir, stored)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "runs.json", stored)
    write_whole(out / "RESULT.md", claims_page(stored))
    print(claims_page(stored))


def collect_claims(workdir: Path, stored: dict[str, Any]) -> dict[str, Any]:
    """Evaluate the finished runs: the contents of runs.json.

    Args:
        workdir: holds the runs; one without results.json is left out.
        stored: contents of an earlier runs.json, whose runs stay unless the workdir
            has them with other parameters.
    """
    runs = dict(stored["runs"])
    pixels = dict(stored.get("pixels", {}))
    about = {key: value for key, value in stored.items() if key != "runs"}
    for name in SYSTEMS:
        for seed in PAPER_CLAIMS.seeds:
            for fold in PAPER_CLAIMS.folds:
                folder = run_folder(PAPER_CLAIMS, workdir, name, seed, fold)
                if not (folder / "results.json").exists():
                    continue
                run = read_run_files(folder)
                known = runs.get(folder.name, {}).get("params_sha256")
                if known != run.results["params_sha256"]:
                    runs[folder.name] = _described(name, seed, fold, folder, run)
                about["versions"] = run.results["versions"]
                if fold == 0:
                    about["train_counts"] = run.results["train_counts"]
                    about["test_counts"] = run.results["test_counts"]
                if str(fold) not in pixels:
                    pixels[str(fold)] = _of_pixels(folder, run)
    return about | {"pixels": pixels, "runs": runs}


def _of_pixels(folder: Path, run: RunFiles) -> dict[str, float]:
    """Metrics of the ridge regression on the pixels of a run's fold."""
    baseline = REAL_CELLS.rows["ridge"]
    assert isinstance(baseline, Baseline)
    shown = of_baseline(baseline, folder, run)
    return _metrics(shown, run.results["train_counts"])


def _described(
    name: str, seed: int, fold: int, folder: Path, run: RunFiles
) -> dict[str, Any]:
    results = run.results
    counts = results["train_counts"]
    read = {"linear": _metrics(of_linear_probe(folder, run), counts)}
    if results["predictor"] != "linear":
        read["own"] = _metrics(run.predictions, counts)
    for probe in ("logistic", "knn_20"):
        read[probe] = {key: results["probe"][probe][key] for key in _METRICS}
    return {
        "system": name,
        "seed": seed,
        "fold": fold,
        "minutes": _training_minutes(run),
        **{key: results[key] for key in _ABOUT},
        "readouts": read,
        # A curve is of labels and features; seeds add little to five folds.
        **({"curve": _curve(folder, run)} if seed == PAPER_CLAIMS.seeds[0] else {}),
    }


def _training_minutes(run: RunFiles) -> float:
    """By the median of the logged rates, so that a pause of the run does not count."""
    name = "train/images_per_second"
    rates = [value for one in run.series if one.name == name for value in one.values]
    images = run.results["steps"] * run.config["data"]["batch_size"]
    return images / statistics.median(rates) / 60 if rates else 0.0


def _metrics(shown: Predictions, counts: dict[str, int]) -> dict[str, float]:
    metrics = classification_metrics(shown.labels, shown.predicted, shown.classes)
    metrics |= f1_by_frequency(metrics["per_class"], counts)
    return {key: metrics[key] for key in (*_METRICS, *_GROUPS)}


def _curve(folder: Path, run: RunFiles) -> dict[str, float]:
    """Balanced accuracy by labeled images per class, mean of the draws."""
    train, test = (np.load(folder / "features" / f"{p}.npy") for p in ("train", "test"))
    catalog, split = read_split(folder, run)
    labels, classes = catalog.labels[split.train], catalog.classes
    data = SplitFeatures(train, test, labels, run.predictions.labels, classes)
    scale = feature_scale(train)
    curve = {}
    for per_class in _PER_CLASS:
        values = []
        for draw in range(1, (_DRAWS if per_class else 1) + 1):
            orders = drawn_order(labels, classes, seed=0, draw=draw)
            judged = judge_labeled(
                data, labeled_rows(orders, per_class), scale=scale, seed=0
            )
            values.append(judged["logistic"]["balanced_accuracy"])
        curve[str(per_class or "all")] = float(np.mean(values))
    return curve


def fold_difference(
    stored: dict[str, Any],
    first: tuple[str, str],
    second: tuple[str, str],
    metric: str,
) -> FoldDifference | None:
    """A metric of one system's readout minus another's, seeds averaged in each fold.

    Of the seeds and folds that both have; None where those are fewer than two folds.
    """
    one, other = (
        _by_place(stored, system, read, metric) for system, read in (first, second)
    )
    ratio = _test_over_train(stored)
    return seed_mean_difference(one, other, test_over_train=ratio)


def _test_over_train(stored: dict[str, Any]) -> float:
    run = next(iter(stored["runs"].values()))
    return run["n_test"] / run["n_train"]


def _by_place(
    stored: dict[str, Any], system: str, readout: str, metric: str
) -> dict[tuple[int, int], float]:
    """A metric by fold and seed; of the regression on pixels, alike for all seeds."""
    if (system, readout) == PIXELS:
        return {
            (run["fold"], run["seed"]): stored["pixels"][str(run["fold"])][metric]
            for run in stored["runs"].values()
        }
    return {
        (run["fold"], run["seed"]): run["readouts"][readout][metric]
        for run in stored["runs"].values()
        if run["system"] == system and readout in run["readouts"]
    }


def claims_page(stored: dict[str, Any]) -> str:
    """RESULT.md: the claims, all systems in all readouts, the curves over labels."""
    runs = stored["runs"].values()
    seeds, folds = (sorted({run[key] for run in runs}) for key in ("seed", "fold"))
    named = thirds(list(stored["train_counts"]), stored["train_counts"])
    groups = ", ".join(f"{name}: {' '.join(of)}" for name, of in named.items())
    first = next(iter(runs))
    parts = [
        f"# {PAPER_CLAIMS.title}: all systems",
        f"Written by `python -m experiments.{PAPER_CLAIMS.module}`; README.md has the "
        "verdict.",
        f"Seeds {', '.join(map(str, seeds))}; folds {', '.join(map(str, folds))}; "
        f"about {first['n_train']:,} training and {first['n_test']:,} test cells. "
        f"Thirds of the classes by their training cells: {groups}.",
        *map(
            markdown_table,
            (
                _claims_table(stored),
                _readouts_table(stored, "accuracy"),
                _readouts_table(stored, "macro_f1"),
                _groups_table(stored),
                _pixels_table(stored),
                _closed_table(stored),
                _curves_table(stored),
            ),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def claim_verdict(found: FoldDifference) -> str:
    """What the corrected interval of a difference carries."""
    low, high = found.corrected_interval
    if low > 0:
        return "holds"
    return "the contrary holds" if high < 0 else "not decided"


def _claims_table(stored: dict[str, Any]) -> Table:
    rows = []
    for claim in CLAIMS:
        found = fold_difference(stored, claim.first, claim.second, claim.metric)
        if found is None:
            rows.append((claim.sentence, NONE, NONE, NONE))
            continue
        rows.append(
            (
                claim.sentence,
                f"{_shown(*claim.first)} - {_shown(*claim.second)}",
                _with_interval(found),
                claim_verdict(found),
            )
        )
    caption = (
        "Claims: the difference of the metric that the sentence names, seeds averaged "
        "in each fold, with the 95 % interval over folds by Nadeau and Bengio's "
        "corrected t; a claim holds where the interval lies above zero"
    )
    columns = ("claim", "difference of", "mean and interval", "verdict")
    return Table(caption, (), columns, tuple(rows))


def _shown(system: str, readout: str) -> str:
    if (system, readout) == PIXELS:
        return "ridge regression on pixels"
    return f"{SYSTEMS[system].title}, {_READOUTS[readout]}"


def _readouts_table(stored: dict[str, Any], metric: str) -> Table:
    rows = []
    for name, system in SYSTEMS.items():
        cells = [
            mean_sd(_by_place(stored, name, readout, metric).values())
            for readout in _READOUTS
        ]
        runs = [run for run in stored["runs"].values() if run["system"] == name]
        minutes = statistics.median(run["minutes"] for run in runs) if runs else 0.0
        rows.append((system.title, *cells, f"{minutes:.1f}", str(len(runs))))
    shown = {"accuracy": "Accuracy", "macro_f1": "Macro F1"}[metric]
    caption = (
        f"{shown} by readout, mean ± standard deviation of the runs; minutes of "
        "training on one core, median"
    )
    columns = ("system", *_READOUTS.values(), "minutes", "runs")
    return Table(caption, (), columns, tuple(rows))


def _groups_table(stored: dict[str, Any]) -> Table:
    keys = (*_GROUPS, "macro_f1_without_rare")
    rows = []
    for name in SYSTEMS:
        for readout in ("own", "linear"):
            if not _by_place(stored, name, readout, keys[0]):
                continue
            cells = [
                mean_sd(_by_place(stored, name, readout, key).values()) for key in keys
            ]
            rows.append((_shown(name, readout), *cells))
    caption = "F1 of the thirds of the classes, and of those with 20 test cells or more"
    columns = ("system", *_GROUPS, "macro F1, >= 20")
    return Table(caption, (), columns, tuple(rows))


def _pixels_table(stored: dict[str, Any]) -> Table:
    keys = ("accuracy", "macro_f1", *_GROUPS, "macro_f1_without_rare")
    folds = stored["pixels"].values()
    cells = tuple(mean_sd([fold[key] for fold in folds]) for key in keys)
    caption = "A ridge regression on 25 x 25 pixels, classes weighted, over the folds"
    columns = ("accuracy", "macro F1", *_GROUPS, "macro F1, >= 20")
    return Table(caption, (), columns, (cells,))


def _closed_table(stored: dict[str, Any]) -> Table:
    """How much of the distance from the old recipe to labels `:small` closes."""
    rows = []
    for readout in ("linear", "logistic", "knn_20"):
        for metric, title in (("accuracy", "accuracy"), ("macro_f1", "macro F1")):
            gained = fold_difference(
                stored, ("vit_swav", readout), ("resnet_swav", readout), metric
            )
            whole = fold_difference(
                stored, ("resnet_supervised", readout), ("resnet_swav", readout), metric
            )
            if gained is None or whole is None:
                continue
            rows.append(
                (
                    f"{title}, {_READOUTS[readout]}",
                    _with_interval(gained),
                    _with_interval(whole),
                    f"{gained.difference / whole.difference:.0%}",
                )
            )
    caption = (
        "The recipe `:small` and labels, both less SwAV on the residual network, with "
        "95 % intervals as above"
    )
    columns = ("metric, readout", "`:small`", "labels, ResNet", "share closed")
    return Table(caption, (), columns, tuple(rows))


def _curves_table(stored: dict[str, Any]) -> Table:
    rows = []
    for name, system in SYSTEMS.items():
        curves = [
            run["curve"]
            for run in stored["runs"].values()
            if run["system"] == name and "curve" in run
        ]
        if curves:
            cells = [mean_sd(curve[key] for curve in curves) for key in curves[0]]
            rows.append((system.title, *cells))
    caption = (
        "Balanced accuracy of a logistic regression that knows the labels of so many "
        f"training cells of each class, mean of {_DRAWS} draws; mean ± standard "
        f"deviation of the folds, seed {PAPER_CLAIMS.seeds[0]}"
    )
    columns = ("features", *(str(per_class or "all") for per_class in _PER_CLASS))
    return Table(caption, (), columns, tuple(rows))


def _with_interval(found: FoldDifference) -> str:
    low, high = found.corrected_interval
    return f"{found.difference:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    sys.exit(main())
