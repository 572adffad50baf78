"""The paper's ways to learn on real cells: one small network, one budget, three seeds.

    python -m experiments.five_systems --data=FOLDER --workdir=DIR

Fifteen runs on fold 0 of 5 at 64 pixels, ten epochs each, resumable at any point: the
same command goes on. Writes figures.json and RESULT.md into
experiments/2026-11-23-five-systems (or --out=FOLDER).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.evals.classification import classification_metrics, f1_by_frequency
from bmjax.evals.linear_probe import Linear, apply_linear
from bmjax.report.run_files import RunFiles, read_run_files
from experiments.small_runs import (
    described,
    markdown_rows,
    parser_of,
    run_all,
    write_results,
)

OUT = Path(__file__).parent / "2026-11-23-five-systems"
SEEDS = (0, 1, 2)
QUEUE = "--config.method.queue_from=3 epochs"  # a third of the run, as in :small
STILL = (QUEUE, "--config.optim.freeze_prototypes=0 steps")
SYSTEMS = {  # name: configuration, duration, more
    "random": ("swav", "0 steps", STILL),
    "swav": ("swav", "10 epochs", (QUEUE,)),
    "supcon": ("supcon", "10 epochs", ()),
    "supervised": ("supervised", "10 epochs", ()),
    "mixup": ("mixup", "10 epochs", ()),
}
# What of a run is shown: its own predictions, or those of the probe on its features.
ROWS = {
    "random": ("random", "random network + linear"),
    "swav": ("swav", "SwAV + linear"),
    "supcon": ("supcon", "SupCon + linear"),
    "supervised": ("supervised", "supervised"),
    "supervised_linear": ("supervised", "supervised, features + linear"),
    "mixup": ("mixup", "supervised + mixup"),
    "mixup_linear": ("mixup", "supervised + mixup, features + linear"),
}
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "macro_f1": "macro F1",
    "head": "head",
    "middle": "middle",
    "tail": "tail",
}
PAIRS = (
    ("swav", "random"),
    ("supcon", "swav"),
    ("supervised", "swav"),
    ("supervised_linear", "supervised"),
    ("supervised_linear", "swav"),
    ("mixup", "supervised"),
)


def main() -> int:
    """Run what is missing and write the tables; return an exit code."""
    parser = parser_of("five_systems", __doc__, OUT)
    parser.add_argument("--data", required=True, help="folder of real cells")
    options = parser.parse_args()
    if code := run_all(
        [
            run_arguments(name, seed, options.data, options.workdir)
            for seed in SEEDS
            for name in SYSTEMS
        ]
    ):
        return code
    write_results(options.out, collect(options.workdir), result_page)
    return 0


def run_arguments(name: str, seed: int, data: str, workdir: Path) -> list[str]:
    """The arguments of bmjax.main for one run."""
    config, duration, more = SYSTEMS[name]
    return [
        f"--config=configs/{config}.py:small",
        f"--workdir={workdir / f'{name}-{seed}'}",
        f"--config.data.root={data}",
        "--config.data.split=kfold",
        "--config.data.exclude=ART,BLA",  # another microscope: the background tells
        "--config.data.size=64",
        "--config.model.convolutions=matmul",  # twice as fast at this size
        f"--config.train.duration={duration}",
        f"--config.seed={seed}",
        *more,
    ]


def collect(workdir: Path) -> dict[str, Any]:
    """Gather the figures of every finished run, by row of the table and seed."""
    rows: dict[str, Any] = {}
    for row, (name, _) in ROWS.items():
        runs = []
        for seed in SEEDS:
            folder = workdir / f"{name}-{seed}"
            run = read_run_files(folder)
            found = run.results
            shown = probe_metrics(folder, run) if row.endswith("_linear") else found
            thirds = f1_by_frequency(shown["per_class"], found["train_counts"])
            runs.append(
                {key: (shown | thirds)[key] for key in METRICS}
                | {
                    "seed": seed,
                    "minutes": round(found["seconds"] / 60, 1),
                    "f1": {e["abbreviation"]: e["f1"] for e in shown["per_class"]},
                    "params_sha256": found["params_sha256"],
                }
            )
        rows[row] = runs
    return described(found) | {
        "train_counts": found["train_counts"],
        "test_counts": found["test_counts"],
        "rows": rows,
    }


def probe_metrics(folder: Path, run: RunFiles) -> dict[str, Any]:
    """Metrics of the linear probe that every run fits on its features."""
    with np.load(folder / "features" / "linear.npz") as arrays:
        linear = Linear(**arrays)
    scores = apply_linear(linear, np.load(folder / "features" / "test.npy"))
    metrics = classification_metrics(
        run.predictions.labels, np.argmax(scores, axis=-1), run.predictions.classes
    )
    stored = run.results["probe"]["linear"]["macro_f1"]
    if abs(metrics["macro_f1"] - stored) > 0.01:
        raise SystemExit(f"{folder}: its probe and its results disagree")
    return metrics


def spread(values: list[float], *, sign: str = "") -> str:
    """Mean and standard deviation (of a sample) as they stand in the table."""
    return f"{np.mean(values):{sign}.3f} ± {np.std(values, ddof=1):.3f}"


def result_page(figures: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    rows, counts = figures["rows"], figures["train_counts"]
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    thirds = [", ".join(third) for third in np.array_split(np.array(ordered), 3)]
    lines = [
        "# Five systems on real cells: figures",
        "",
        "Written by `python -m experiments.five_systems`; README.md has the verdict.",
        "",
        f"{figures['network']} at 64 px, {figures['n_train']:,} training and "
        f"{figures['n_test']:,} test images; mean ± standard deviation of "
        f"{len(SEEDS)} seeds. Macro F1 also of the third of the classes with the most "
        f"training images (head: {thirds[0]}), the middle ({thirds[1]}) and the tail "
        f"({thirds[2]}).",
        "",
    ]
    titles = METRICS.values()
    table = []
    for name, runs in rows.items():
        values = [spread([run[key] for run in runs]) for key in METRICS]
        minutes = max(run["minutes"] for run in runs)
        table.append([ROWS[name][1], *values, f"{minutes:.0f}"])
    lines += markdown_rows(["system", *titles, "minutes, longest"], table)
    lines += ["", "Differences seed by seed:", ""]
    table = []
    for first, second in PAIRS:
        both = list(zip(rows[first], rows[second], strict=True))
        values = [
            spread([a[key] - b[key] for a, b in both], sign="+") for key in METRICS
        ]
        table.append([f"{ROWS[first][1]} - {ROWS[second][1]}", *values])
    lines += markdown_rows(["difference", *titles], table)
    lines += ["", "F1 by class, mean of the seeds:", ""]
    lines += markdown_rows(
        ["class", "train", "test", *(ROWS[name][1] for name in rows)],
        [
            [
                cell,
                str(counts[cell]),
                str(figures["test_counts"][cell]),
                *(
                    f"{np.mean([run['f1'][cell] for run in runs]):.3f}"
                    for runs in rows.values()
                ),
            ]
            for cell in ordered
        ],
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
