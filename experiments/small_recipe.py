"""Which changes help the small recipe: short runs, judged by validation cells alone.

    python -m experiments.small_recipe --data=FOLDER --workdir=DIR

Runs of ten or five epochs at 64 pixels on fold 0 of 5, a fifth of each class of the
training part kept to validate on. Each takes some minutes on two CPU cores;
`--only=base,mlp_bn` makes no others, and the page shows those that are finished.
`--test` looks at the test part, for the systems of `_TESTED`: give it once, when the
choice is made. Writes
runs.json and RESULT.md into experiments/2026-11-27-small-recipe (or --out=FOLDER).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.console.command import run_command
from bmjax.data.images.decode import read_pixels
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.validation_part import split_run
from bmjax.evals.assess import compare
from bmjax.evals.classification import classification_metrics
from bmjax.evals.linear_probe import Linear, apply_linear
from bmjax.evals.predictions import Predictions
from bmjax.files import write_json, write_whole
from bmjax.report.run_files import RunFiles, read_run_files
from bmjax.report.table_formats import Table, markdown_table
from bmjax.report.words import NONE
from bmjax.run.workdir import excluded
from configs.common import MEAN, STD
from experiments.real_cells import REAL_CELLS, REAL_DATA, UNTRAINED
from experiments.small_runs import Experiment, make_runs
from experiments.small_systems import Baseline, of_linear_probe


class Candidate(NamedTuple):
    """A run: what it changes, its arguments, and the run that it is held against."""

    change: str
    arguments: tuple[str, ...]
    against: str = "base"


_PARTS = (
    *REAL_DATA,
    "--config.data.size=64",
    "--config.data.validation_share=0.2",
    "--config.tsne.images=60",
    "--config.saliency.images=0",
)
_COMMON = (*_PARTS, "--config.probe.logistic_iterations=20")
_BUDGET = (*_COMMON, "--config.train.duration=10 epochs")
_SWAV = ("--config=swav:small,resnet", *_BUDGET)
_SUPERVISED = ("--config=supervised:small", *_BUDGET)
_MLP_BN = ("--config.model.head=mlp_bn", "--config.model.hidden_dim=256")
_RATE = (
    "--config.optim.name=adamw",
    "--config.optim.learning_rate=5e-4",
    "--config.optim.final_learning_rate=1e-6",
    "--config.optim.weight_decay=0.05",
    "--config.optim.clip_norm=3",
    "--config.optim.warmup=2 epochs",
)
_ADAMW = (*_RATE, "--config.optim.larc_trust=0")
_VIT = (
    "--config.model.name=vit_tiny_patch8_64",
    "--config.data.resize=area",
    f"--config.data.mean={MEAN}",
    f"--config.data.std={STD}",
)
_WEAK_COLOR = (
    "--config.augment.hue=0.02",
    "--config.augment.saturation=0.2",
    "--config.augment.value=0.15",
)
_VIT_SWAV = (*_SWAV, *_VIT, *_MLP_BN, *_ADAMW)
_SHORT_PARTS = (
    *_PARTS,
    "--config.probe.logistic_iterations=100",
    "--config.optim.warmup=1 epoch",
)
_SHORT = (
    "--config=swav:small",
    *_SHORT_PARTS,
    "--config.train.duration=5 epochs",
    "--config.method.queue_from=2 epochs",
)
_SHORT_DINO = (
    "--config=dino:vit,small",
    *_SHORT_PARTS,
    "--config.train.duration=4 epochs",  # a teacher sees the views too
    "--config.method.teacher_temperature_warmup=1 epoch",
)
_RATE_1E3 = "--config.optim.learning_rate=1e-3"
_HALF_CROPS = "--config.augment.large_scale=(0.5, 1.0)"
_EPSILON_03 = "--config.method.epsilon=0.03"
_NO_JITTER = "--config.augment.jitter=0.0"
# One change each of the recipe `:small`, in five epochs.
_CHANGES = {
    "short_rate": ("learning rate 1e-3", (_RATE_1E3,)),
    "short_batch": ("batch 32", ("--config.data.batch_size=32",)),
    "short_k300": ("K = 300", ("--config.method.prototypes=300",)),
    "short_k32": ("K = 32", ("--config.method.prototypes=32",)),
    "short_epsilon": ("epsilon 0.03", (_EPSILON_03,)),
    "short_epsilon_high": ("epsilon 0.1", ("--config.method.epsilon=0.1",)),
    "short_crops": ("crops of 0.5 of the area and more", (_HALF_CROPS,)),
    "short_crops_small": (
        "crops of 0.15 of the area and more",
        ("--config.augment.large_scale=(0.15, 1.0)",),
    ),
    "short_no_jitter": ("no color jitter", (_NO_JITTER,)),
    "short_stain": (
        "stain jitter in its place",
        ("--config.augment.stain=0.8", _NO_JITTER),
    ),
    "short_blur": ("blur of half the views", ("--config.augment.blur=0.5",)),
    "short_no_queue": ("no queue", ("--config.method.queue_length=0",)),
    "short_joined": (
        "learning rate 1e-3, epsilon 0.03, crops of 0.5",
        (_RATE_1E3, _HALF_CROPS, _EPSILON_03),
    ),
    "short_joined_no_jitter": (
        "the same without color jitter",
        (_RATE_1E3, _HALF_CROPS, _EPSILON_03, _NO_JITTER),
    ),
}
_SHORT_RUNS = {
    "short": Candidate("ViT, SwAV: `:small`", _SHORT, "short"),
    **{
        name: Candidate(change, (*_SHORT, *arguments), "short")
        for name, (change, arguments) in _CHANGES.items()
    },
    "short_dino": Candidate("DINO, four epochs", _SHORT_DINO, "short"),
    "short_dino_weak": Candidate(
        "the same, half the color jitter", (*_SHORT_DINO, *_WEAK_COLOR), "short"
    ),
}
CANDIDATES = {
    "untrained": Candidate(
        "ResNet, untrained", ("--config=swav:small,resnet", *_COMMON, *UNTRAINED)
    ),
    "base": Candidate("ResNet, SwAV: the recipe as it is", _SWAV),
    "mlp_bn": Candidate("head mlp_bn", (*_SWAV, *_MLP_BN)),
    "mlp_bn_adamw": Candidate("head mlp_bn, AdamW", (*_SWAV, *_MLP_BN, *_ADAMW)),
    "no_queue": Candidate("no queue", (*_SWAV, "--config.method.queue_length=0")),
    "color_weak": Candidate("half the color jitter", (*_SWAV, *_WEAK_COLOR)),
    "supervised": Candidate("ResNet, supervised", _SUPERVISED),
    "vit_untrained": Candidate(
        "ViT, untrained",
        ("--config=swav:small,resnet", *_COMMON, *UNTRAINED, *_VIT, *_MLP_BN),
    ),
    "vit_mlp_bn_adamw": Candidate("ViT, head mlp_bn, AdamW", _VIT_SWAV),
    "vit_color_weak": Candidate(
        "ViT, the same, half the color jitter", (*_VIT_SWAV, *_WEAK_COLOR)
    ),
    "vit_whole_cells": Candidate(
        "ViT, the same, crops of 0.6 of the area and more",
        (*_VIT_SWAV, "--config.augment.large_scale=(0.6, 1.0)"),
    ),
    "vit_supervised": Candidate("ViT, supervised", (*_SUPERVISED, *_VIT, *_RATE)),
    **_SHORT_RUNS,
}
SMALL_RECIPE = Experiment(
    folder="2026-11-27-small-recipe",
    title="The small recipe",
    runs={name: candidate.arguments for name, candidate in CANDIDATES.items()},
)
# The best by accuracy on the validation cells, beside what it is held against.
_TESTED = ("untrained", "base", "vit_color_weak", "supervised")
_OLD = "base"
_SHOWN = ("accuracy", "macro_f1")
_LOGGED = ("loss_over_ln_k", "embedding_spread")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs that are missing, write both files, and return an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.small_recipe",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="folder of real cells")
    parser.add_argument("--workdir", required=True, type=Path, help="of the runs")
    parser.add_argument("--out", type=Path, default=SMALL_RECIPE.out)
    parser.add_argument("--only", default=",".join(CANDIDATES), metavar="NAMES")
    parser.add_argument("--test", action="store_true", help="look at the test part")
    options = parser.parse_args(arguments)
    runs = {
        name: CANDIDATES[name].arguments for name in options.only.split(",") if name
    }
    chosen = SMALL_RECIPE._replace(runs=runs)
    if code := make_runs(chosen, options.workdir, options.data):
        return code
    return run_command(lambda: _write(options.workdir, options.out, options.test))


def _write(workdir: Path, out: Path, test: bool) -> None:
    stored = collect_validated(workdir, test=test)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "runs.json", stored)
    write_whole(out / "RESULT.md", recipe_page(stored))
    print(recipe_page(stored))


def collect_validated(workdir: Path, *, test: bool) -> dict[str, Any]:
    """What the finished runs are on the validation cells: the contents of runs.json.

    Args:
        workdir: holds the runs by name; one without results.json is left out.
        test: whether the test part is looked at, for the systems of `_TESTED`.
    """
    finished = [n for n in CANDIDATES if (workdir / n / "results.json").exists()]
    runs = {name: read_run_files(workdir / name) for name in finished}
    validated = {name: on_validation(workdir / name, runs[name]) for name in finished}
    ridge = _ridge(runs[_OLD])
    stored: dict[str, Any] = {
        "versions": runs[_OLD].results["versions"],
        "split_digest": runs[_OLD].results["split_digest"],
        "n_train": runs[_OLD].results["n_train"],
        "n_validation": len(ridge.labels),
        "n_test": runs[_OLD].results["n_test"],
        "runs": {
            name: _described(
                name,
                runs[name],
                validated[name],
                validated[CANDIDATES[name].against],
            )
            for name in finished
        },
        "ridge": _metrics(ridge) | _difference(ridge, validated[_OLD]),
    }
    if test:
        tested = {name: of_linear_probe(workdir / name, runs[name]) for name in _TESTED}
        stored["test"] = {
            name: _metrics(shown) | _difference(shown, tested[_OLD])
            for name, shown in tested.items()
        }
    return stored


def on_validation(folder: Path, run: RunFiles) -> Predictions:
    """What the linear probe says of the validation cells."""
    with np.load(folder / "features" / "linear.npz") as arrays:
        linear = Linear(**arrays)
    logits = apply_linear(linear, np.load(folder / "features" / "validation.npy"))
    return _validation_cells(run)._replace(predicted=logits.argmax(axis=1))


def _validation_cells(run: RunFiles) -> Predictions:
    catalog, parts = _parts(run)
    return Predictions(
        paths=tuple(catalog.paths[place] for place in parts.validation),
        classes=tuple(catalog.classes),
        labels=catalog.labels[parts.validation].astype(int),
        predicted=np.zeros(len(parts.validation), int),
        probabilities=None,
    )


def _parts(run: RunFiles):
    data = run.config["data"]
    catalog = read_catalog(Path(data["root"]), exclude=excluded(data["exclude"]))
    return catalog, split_run(
        catalog,
        name=data["split"],
        fold=data["fold"],
        seed=data["split_seed"],
        share=data["validation_share"],
    )


def _ridge(run: RunFiles) -> Predictions:
    """The regression on pixels, trained on the training part of the runs."""
    baseline = REAL_CELLS.rows["ridge"]
    assert isinstance(baseline, Baseline)
    catalog, parts = _parts(run)

    def features(places: np.ndarray) -> np.ndarray:
        files = (catalog.root / catalog.paths[place] for place in places)
        pixels = (read_pixels(file, size=baseline.size) for file in files)
        return np.stack([baseline.features(image) for image in pixels])

    model = baseline.model()
    model.fit(features(parts.split.train), catalog.labels[parts.split.train])
    predicted = model.predict(features(parts.validation))
    return _validation_cells(run)._replace(predicted=predicted)


def _described(
    name: str, run: RunFiles, shown: Predictions, old: Predictions
) -> dict[str, Any]:
    predictors = run.results["validation"]["predictors"]
    last = {series.name: series.values[-1] for series in run.series}
    return {
        "arguments": list(CANDIDATES[name].arguments),
        "minutes": round(run.results["seconds"] / 60, 1),
        **_metrics(shown),
        **_difference(shown, old),
        **{
            probe: {key: round(predictors[probe][key], 4) for key in _SHOWN}
            for probe in ("logistic", "knn_20", "classifier")
            if probe in predictors
        },
        **{
            key: round(last[f"train/{key}"], 4)
            for key in _LOGGED
            if f"train/{key}" in last
        },
    }


def _metrics(shown: Predictions) -> dict[str, Any]:
    metrics = classification_metrics(shown.labels, shown.predicted, shown.classes)
    return {key: round(metrics[key], 4) for key in _SHOWN}


def _difference(shown: Predictions, old: Predictions) -> dict[str, Any]:
    """From the old recipe, with the ends of the paired bootstrap's 95 % interval."""
    metrics = compare(shown, old)["metrics"]
    return {
        f"{key}_difference": [
            round(value, 4)
            for value in (metrics[key]["difference"], *metrics[key]["interval"])
        ]
        for key in _SHOWN
    }


def recipe_page(stored: dict[str, Any]) -> str:
    """RESULT.md: all runs on the validation cells, and some on the test part."""
    rows, short_rows = (
        [
            _row(CANDIDATES[name].change, entry)
            for name, entry in stored["runs"].items()
            if (CANDIDATES[name].against == _OLD) == old
        ]
        for old in (True, False)
    )
    rows.append(_row("ridge on 25 x 25 pixels", stored["ridge"]))
    columns = (
        "run",
        "accuracy",
        "macro F1",
        "accuracy - recipe as it is",
        "logistic",
        "20-NN",
        "loss / ln K",
        "spread",
        "minutes",
    )
    caption = (
        f"{stored['n_validation']:,} validation cells, {stored['n_train']:,} training "
        "cells: accuracy and macro F1 of the linear probe, its difference from the "
        "recipe as it is with the 95 % interval of a paired bootstrap over cells, "
        "accuracy of two other readouts, and the last values of the training"
    )
    parts = [
        "# The small recipe: all runs",
        "Written by `python -m experiments.small_recipe`; README.md has the verdict.",
        markdown_table(Table(caption, (), columns, tuple(rows))),
    ]
    if short_rows:
        columns_short = (*columns[:3], "accuracy - `:small`", *columns[4:])
        caption = (
            "One change each of the recipe `:small`, in five epochs, by the same cells "
            "and readouts"
        )
        parts.append(
            markdown_table(Table(caption, (), columns_short, tuple(short_rows)))
        )
    if "test" in stored:
        caption = f"{stored['n_test']:,} test cells, looked at once: the linear probe"
        rows = [
            _row(CANDIDATES[name].change, entry)[:4]
            for name, entry in stored["test"].items()
        ]
        parts.append(markdown_table(Table(caption, (), columns[:4], tuple(rows))))
    return "\n\n".join(parts) + "\n"


def _row(title: str, entry: dict[str, Any]) -> tuple[str, ...]:
    difference, low, high = entry["accuracy_difference"]
    probes = [
        f"{entry[probe]['accuracy']:.3f}" if probe in entry else NONE
        for probe in ("logistic", "knn_20")
    ]
    logged = [f"{entry[key]:.2f}" if key in entry else NONE for key in _LOGGED]
    minutes = f"{entry['minutes']:.1f}" if "minutes" in entry else NONE
    return (
        title,
        f"{entry['accuracy']:.3f}",
        f"{entry['macro_f1']:.3f}",
        f"{difference:+.3f} ({low:+.3f} to {high:+.3f})",
        *probes,
        *logged,
        minutes,
    )


if __name__ == "__main__":
    sys.exit(main())
