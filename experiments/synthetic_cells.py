"""Synthetic cells are learnt by their shapes and not by their colors.

    python -m experiments.synthetic_cells --workdir=DIR

Trains `configs/supervised.py:demo` and, on the same images and split, a logistic
regression on mean and deviation of the three color channels. Writes RESULT.md into
experiments/2026-11-23-synthetic-cells (or --out=FOLDER).
"""

import sys
from pathlib import Path

import numpy as np

from bmjax.data.images.decode import read_pixels
from bmjax.data.images.folder import read_folder
from bmjax.data.splits.make_split import make_split
from bmjax.evals.classification import classification_metrics
from bmjax.evals.confusion import AVERAGE_TITLES
from bmjax.report.run_files import read_run_files
from bmjax.run.build import data_root
from bmjax.run.command_line import load_config
from experiments.small_runs import markdown_rows, parser_of, run_all

OUT = Path(__file__).parent / "2026-11-23-synthetic-cells"
CONFIG = Path("configs/supervised.py")
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


def main() -> int:
    """Run what is missing and write the table; return an exit code."""
    options = parser_of("synthetic_cells", __doc__, OUT).parse_args()
    if code := run_all([[f"--config={CONFIG}:demo", f"--workdir={options.workdir}"]]):
        return code
    results = read_run_files(options.workdir).results
    rows = {f"supervised, {results['network']}": results, **colors(options.workdir)}
    lines = [
        "# Synthetic cells: figures",
        "",
        "Written by `python -m experiments.synthetic_cells`.",
        "",
        f"{results['n_train']:,} training and {results['n_test']:,} test images of 21 "
        "classes with the release's long tail (two test images in the rarest).",
        "",
        *markdown_rows(
            ["system", *(AVERAGE_TITLES[key] for key in METRICS)],
            [
                [name, *(f"{row[key]:.3f}" for key in METRICS)]
                for name, row in rows.items()
            ],
        ),
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "RESULT.md").write_text("\n".join(lines) + "\n")
    print((options.out / "RESULT.md").read_text())
    return 0


def colors(workdir: Path) -> dict[str, dict]:
    """Figures of two logistic regressions on six numbers an image."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_config(CONFIG, "demo").data
    catalog = read_folder(data_root(load_config(CONFIG, "demo"), workdir))
    split = make_split(catalog, name=data.split, fold=data.fold, seed=data.split_seed)
    moments = []
    for path in catalog.paths:
        pixels = read_pixels(catalog.root / path, size=data.size) / 255
        moments.append([*pixels.mean(axis=(0, 1)), *pixels.std(axis=(0, 1))])
    moments, rows = np.array(moments), {}
    for name, weight in (("even weights", None), ("balanced weights", "balanced")):
        model = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=5000, class_weight=weight)
        )
        model.fit(moments[split.train], catalog.labels[split.train])
        rows[f"mean and deviation of colors, linear, {name}"] = classification_metrics(
            catalog.labels[split.test],
            model.predict(moments[split.test]),
            catalog.classes,
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
