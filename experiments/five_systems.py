"""The paper's ways to learn on real cells: one small network, one budget, three seeds.

    python -m experiments.five_systems --data=FOLDER --workdir=DIR

Fifteen runs on fold 0 of 5 at 64 pixels, ten epochs each. Writes figures.json and
RESULT.md into experiments/2026-11-23-five-systems (or --out=FOLDER).
"""

import sys

from experiments.real_cells import REAL_DATA, UNTRAINED
from experiments.small_runs import Experiment, main
from experiments.small_systems import ShownRun

_SMALL = (
    *REAL_DATA,
    "--config.data.size=64",
    "--config.model.convolutions=matmul",  # twice as fast at this size
)
_BUDGET = (*_SMALL, "--config.train.duration=10 epochs")
_QUEUE = "--config.method.queue_from=3 epochs"  # a third of the run, as in :small

FIVE_SYSTEMS = Experiment(
    folder="2026-11-23-five-systems",
    title="Five systems on real cells",
    about="{network} at 64 px, {n_train:,} training and {n_test:,} test images, three "
    "seeds. Macro F1 also of the third of the classes with the most training images "
    "(head: {head}), the middle ({middle}) and the tail ({tail}).",
    runs={
        "random": ("--config=swav:small,resnet", *_SMALL, *UNTRAINED, _QUEUE),
        "swav": ("--config=swav:small,resnet", *_BUDGET, _QUEUE),
        "supcon": ("--config=supcon:small", *_BUDGET),
        "supervised": ("--config=supervised:small", *_BUDGET),
        "mixup": ("--config=mixup:small", *_BUDGET),
    },
    rows={
        "random": ShownRun("random network + linear", "random"),
        "swav": ShownRun("SwAV + linear", "swav"),
        "supcon": ShownRun("SupCon + linear", "supcon"),
        "supervised": ShownRun("supervised", "supervised"),
        "supervised_linear": ShownRun(
            "supervised, features + linear", "supervised", probe=True
        ),
        "mixup": ShownRun("supervised + mixup", "mixup"),
        "mixup_linear": ShownRun(
            "supervised + mixup, features + linear", "mixup", probe=True
        ),
    },
    metrics={
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced",
        "macro_f1": "macro F1",
        "head": "head",
        "middle": "middle",
        "tail": "tail",
    },
    pairs=(
        ("swav", "random"),
        ("supcon", "swav"),
        ("supervised", "swav"),
        ("supervised_linear", "supervised"),
        ("supervised_linear", "swav"),
        ("mixup", "supervised"),
    ),
    seeds=(0, 1, 2),
)

if __name__ == "__main__":
    sys.exit(main(FIVE_SYSTEMS, __doc__))
