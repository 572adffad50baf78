"""Synthetic cells are learned by their shapes and not by their colors.

    python -m experiments.synthetic_cells --workdir=DIR

Trains `configs/supervised.py:demo` and, on the same images and split, a logistic
regression on mean and deviation of the three color channels. Writes figures.json and
RESULT.md into experiments/2026-11-23-synthetic-cells (or --out=FOLDER).
"""

import sys

import numpy as np

from bmjax.evals.confusion import AVERAGE_TITLES
from experiments.small_runs import Experiment, main
from experiments.small_systems import Baseline, ShownRun

_SHOWN = ("accuracy", "balanced_accuracy", "macro_f1")
_COLORS = "mean and deviation of colors, linear,"


def _moments(image: np.ndarray) -> np.ndarray:
    """Mean and deviation of each channel, float [6]."""
    pixels = image / 255
    return np.concatenate([pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1))])


def _logistic(weights: str | None = None):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(max_iter=5000, class_weight=weights)
    return make_pipeline(StandardScaler(), model)


SYNTHETIC_CELLS = Experiment(
    folder="2026-11-23-synthetic-cells",
    title="Synthetic cells",
    about="{n_train:,} training and {n_test:,} test images of 21 classes with the "
    "release's long tail (two test images in the rarest).",
    runs={"supervised": ("--config=supervised:demo",)},
    rows={
        "supervised": ShownRun("supervised, resnet10_w32", "supervised"),
        "even": Baseline(f"{_COLORS} even weights", 64, _moments, _logistic),
        "balanced": Baseline(
            f"{_COLORS} balanced weights", 64, _moments, lambda: _logistic("balanced")
        ),
    },
    metrics={key: AVERAGE_TITLES[key] for key in _SHOWN},
    data=False,
)

if __name__ == "__main__":
    sys.exit(main(SYNTHETIC_CELLS, __doc__))
