"""SwAV, a random network and supervised training on real cells, run the same way.

    python -m experiments.real_cells --data=FOLDER --workdir=DIR

Three runs of the same small network on fold 0 of 5 at 96 pixels, resumable at any
point, and a ridge regression on 25 x 25 pixels as the floor. Writes figures.json,
RESULT.md and curve.svg into experiments/2026-11-22-real-cells (or --out=FOLDER).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.data.images.decode import read_pixels
from bmjax.data.images.folder import read_folder
from bmjax.data.splits.make_split import make_split
from bmjax.evals.classification import classification_metrics
from bmjax.evals.intervals import accuracy, macro_f1, paired_bootstrap
from bmjax.report.run_files import RunFiles, read_run_files
from experiments.small_runs import (
    described,
    markdown_rows,
    parser_of,
    run_all,
    write_results,
)

OUT = Path(__file__).parent / "2026-11-22-real-cells"
EXCLUDED = ("ART", "BLA")  # another microscope: told by the background alone
RIDGE_SIZE = 25  # pixels; the known floor on these images
RUNS = {
    "random": (
        "swav",
        "--config.train.duration=0 steps",
        "--config.optim.freeze_prototypes=0 steps",
    ),
    "swav": ("swav",),
    "supervised": ("supervised",),
}
NAMES = {
    "random": "random network + linear",
    "swav": "SwAV + linear",
    "supervised": "supervised",
    "ridge": f"ridge on {RIDGE_SIZE} x {RIDGE_SIZE} pixels",
}
CURVES = (
    "loss",
    "loss_over_ln_k",
    "assignment_entropy",
    "embedding_spread",
    "prototypes_used",
    "accuracy",
)
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_f1_without_rare")


def main() -> int:
    """Run what is missing and write the tables; return an exit code."""
    parser = parser_of("real_cells", __doc__, OUT)
    parser.add_argument("--data", required=True, help="folder of real cells")
    options = parser.parse_args()
    if code := run_all(
        [
            [
                f"--config=configs/{config}.py:small",
                f"--workdir={options.workdir / name}",
                f"--config.data.root={options.data}",
                "--config.data.split=kfold",
                f"--config.data.exclude={','.join(EXCLUDED)}",
                *changes,
            ]
            for name, (config, *changes) in RUNS.items()
        ]
    ):
        return code
    stored = collect(options.workdir, options.data)
    write_results(options.out, stored, result_page)
    (options.out / "curve.svg").write_text(curve(stored))
    return 0


def collect(workdir: Path, data: str) -> dict[str, Any]:
    """Gather figures, intervals of differences and curves from the finished runs."""
    runs, predictions = {}, {}
    for name in RUNS:
        run = read_run_files(workdir / name)
        results, predictions[name] = run.results, run.predictions
        runs[name] = {
            key: results[key]
            for key in (*METRICS, "weighted_f1", "per_class", "probe", "steps")
        } | {
            "seconds": round(results["seconds"]),
            "params_sha256": results["params_sha256"],
            "curve": curve_of(run),
        }
    first = predictions["random"]
    for name, other in predictions.items():
        if other.paths != first.paths:
            raise SystemExit(f"{name} was tested on other images than the first run")
    predicted = {name: one.predicted for name, one in predictions.items()}
    predicted["ridge"] = ridge(data, list(first.paths))
    runs["ridge"] = classification_metrics(
        first.labels, predicted["ridge"], first.classes
    )
    pairs = (("swav", "random"), ("supervised", "ridge"), ("supervised", "swav"))
    differences = [
        {
            "first": one,
            "second": other,
            "figure": metric.__name__,
            "difference": paired_bootstrap(
                metric, first.labels, predicted[one], predicted[other]
            ),
        }
        for one, other in pairs
        for metric in (accuracy, macro_f1)
    ]
    return described(results) | {"runs": runs, "differences": differences}


def curve_of(run: RunFiles) -> dict[str, list[float]]:
    """What of the training curve the page shows, by name."""
    wanted = {f"train/{name}" for name in CURVES}
    series = [one for one in run.series if one.name in wanted]
    steps = {"step": [round(step) for step in series[0].steps]} if series else {}
    return steps | {
        one.name: [round(value, 4) for value in one.values] for one in series
    }


def ridge(data: str, paths: list[str]) -> np.ndarray:
    """Predictions of a class-weighted ridge regression on small images, same split."""
    from sklearn.linear_model import RidgeClassifier

    catalog = read_folder(data, exclude=EXCLUDED)
    split = make_split(catalog, name="kfold", fold=0, seed=42)
    if [catalog.paths[position] for position in split.test] != paths:
        raise SystemExit("the ridge regression would be tested on other images")

    def pixels(positions: np.ndarray) -> np.ndarray:
        images = (
            read_pixels(catalog.root / catalog.paths[p], size=RIDGE_SIZE).ravel()
            for p in positions
        )
        return np.stack(list(images)) / 255

    model = RidgeClassifier(alpha=100.0, class_weight="balanced")
    model.fit(pixels(split.train), catalog.labels[split.train])
    return model.predict(pixels(split.test))


def result_page(figures: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    runs = figures["runs"]
    lines = [
        "# Real cells, fold 0 of 5: figures",
        "",
        "Written by `python -m experiments.real_cells`; README.md says what it means.",
        "",
        f"{figures['network']} at 96 px, {figures['n_train']:,} training and "
        f"{figures['n_test']:,} test images, one run each (seed 0).",
        "",
    ]
    header = [
        "system",
        "accuracy",
        "balanced",
        "macro F1",
        "macro F1, >= 20",
        "minutes",
    ]
    lines += markdown_rows(
        header,
        [
            [
                NAMES[name],
                *(f"{run[key]:.3f}" for key in METRICS),
                f"{run['seconds'] / 60:.0f}" if "seconds" in run else "-",
            ]
            for name, run in runs.items()
        ],
    )
    lines += [
        "",
        "k nearest neighbours (k = 20, cosine) on the same features: "
        + ", ".join(
            f"{NAMES[name]} {run['probe']['knn_20']['accuracy']:.3f}"
            for name, run in runs.items()
            if "probe" in run
        )
        + " accuracy.",
        "",
        "Differences on the same test images, with 95 % intervals of a paired "
        "bootstrap over images:",
        "",
    ]
    rows = []
    for entry in figures["differences"]:
        estimate, low, high = entry["difference"]
        rows.append(
            [
                f"{NAMES[entry['first']]} - {NAMES[entry['second']]}",
                entry["figure"].replace("_", " "),
                f"{estimate:+.3f}",
                f"{low:+.3f} to {high:+.3f}",
            ]
        )
    lines += markdown_rows(["difference", "figure", "estimate", "interval"], rows)
    lines += ["", "F1 by class:", ""]
    lines += markdown_rows(
        ["class", "test images", *(NAMES[name] for name in runs)],
        [
            [
                f"{entry['abbreviation']} {entry['name']}",
                str(entry["support"]),
                *(f"{run['per_class'][index]['f1']:.3f}" for run in runs.values()),
            ]
            for index, entry in enumerate(runs["swav"]["per_class"])
        ],
    )
    return "\n".join(lines) + "\n"


def curve(figures: dict[str, Any]) -> str:
    """SwAV's loss over ln K, assignment entropy and embedding spread, as SVG.

    All three lie between 0 and 1 and tell whether it learns: 1, 1 and 0 is a collapse.
    """
    found = figures["runs"]["swav"]["curve"]
    width, height, left, top = 640, 260, 40, 16
    last = found["step"][-1]
    lines = {
        "loss / ln K": ("train/loss_over_ln_k", "#c0392b"),
        "entropy of the codes / ln K": ("train/assignment_entropy", "#2471a3"),
        "spread of the embeddings": ("train/embedding_spread", "#1e8449"),
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + left + 24}" '
        f'height="{height + top + 60}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + height * (1 - tick)
        parts += [
            f'<path d="M{left} {y}h{width}" stroke="#dddddd"/>',
            f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>',
        ]
    for tick in range(0, last + 1, 500):
        x = left + width * tick / last
        parts.append(
            f'<text x="{x:.0f}" y="{top + height + 18}" text-anchor="middle">'
            f"{tick}</text>"
        )
    for place, (label, (key, color)) in enumerate(lines.items()):
        points = " ".join(
            f"{left + width * step / last:.1f},{top + height * (1 - min(value, 1)):.1f}"
            for step, value in zip(found["step"], found[key], strict=True)
        )
        x = left + 30 + place * 210
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{color}" '
            'stroke-width="2"/>',
            f'<path d="M{x - 24} {top + height + 42}h18" stroke="{color}" '
            'stroke-width="3"/>',
            f'<text x="{x}" y="{top + height + 46}">{label}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
