"""SwAV, a random network and supervised training on real cells, run the same way.

    python -m experiments.real_cells --data=FOLDER --workdir=DIR

Three runs of the same small network on fold 0 of 5 at 96 pixels, and a ridge regression
on 25 x 25 pixels as the baseline. Writes figures.json, RESULT.md and curve.svg into
experiments/2026-11-22-real-cells (or --out=FOLDER).
"""

import sys

from experiments.small_runs import Experiment, main
from experiments.small_systems import Baseline, ShownRun

# ART and BLA come from another microscope: the background alone tells them.
REAL_DATA = ("--config.data.split=kfold", "--config.data.exclude=ART,BLA")
UNTRAINED = (
    "--config.train.duration=0 steps",
    "--config.optim.freeze_prototypes=0 steps",
)


def _ridge():
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier(alpha=100.0, class_weight="balanced")


REAL_CELLS = Experiment(
    folder="2026-11-22-real-cells",
    title="Real cells, fold 0 of 5",
    about="{network} at 96 px, {n_train:,} training and {n_test:,} test images, one "
    "run each (seed 0).",
    runs={
        "random": ("--config=swav:small,resnet", *REAL_DATA, *UNTRAINED),
        "swav": ("--config=swav:small,resnet", *REAL_DATA),
        "supervised": ("--config=supervised:small", *REAL_DATA),
    },
    rows={
        "random": ShownRun("random network + linear", "random"),
        "swav": ShownRun("SwAV + linear", "swav"),
        "supervised": ShownRun("supervised", "supervised"),
        # The known floor on these images.
        "ridge": Baseline(
            "ridge on 25 x 25 pixels", 25, lambda image: image.ravel() / 255, _ridge
        ),
    },
    metrics={
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced",
        "macro_f1": "macro F1",
        "macro_f1_without_rare": "macro F1, >= 20",
    },
    pairs=(("swav", "random"), ("supervised", "ridge"), ("supervised", "swav")),
    curves=tuple(
        f"train/{name}"
        for name in (
            "loss",
            "loss_over_ln_k",
            "assignment_entropy",
            "embedding_spread",
            "prototypes_used",
            "accuracy",
        )
    ),
    drawn="swav",
)

if __name__ == "__main__":
    sys.exit(main(REAL_CELLS, __doc__))
