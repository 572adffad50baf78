"""Vision transformers and a residual network on real cells, one budget.

    python -m experiments.vit_real_cells --data=FOLDER --workdir=DIR --jobs=N

Ten runs at 64 pixels on each of five folds. LoRA and full fine-tuning start from
`vit_dino`, which saw no label and no test image. Writes figures.json and RESULT.md into
experiments/2026-11-26-vit-real-cells (or --out=FOLDER).
"""

import sys

from configs.common import MEAN, STD
from experiments.real_cells import REAL_DATA, UNTRAINED
from experiments.small_runs import Experiment, main
from experiments.small_systems import ShownRun

# The same pixels for all, whatever a network's own preprocessing is.
_DATA = (
    *REAL_DATA,
    "--config.data.size=64",
    "--config.data.resize=area",
    f"--config.data.mean={MEAN}",
    f"--config.data.std={STD}",
    "--config.data.batch_size=64",
    "--config.tsne.images=300",
)
_BUDGET = (*_DATA, "--config.train.duration=40 epochs")
_VIT = "--config.model.name=vit_tiny_patch8_64"
# DeiT's optimizer in the place of SwAV's and DINO's SGD, which suits residual networks.
_ADAMW = (
    "--config.optim.name=adamw",
    "--config.optim.learning_rate=5e-4",
    "--config.optim.final_learning_rate=1e-6",
    "--config.optim.weight_decay=0.05",
    "--config.optim.larc_trust=0",
    "--config.optim.warmup=2 epochs",
    "--config.optim.clip_norm=3",  # DINO's
)
# The projection head of SwAV's own code, with batch norm, which a vision transformer
# lacks. With the paper's linear layer training collapsed once the queue was in use.
_MLP_BN = ("--config.model.head=mlp_bn", "--config.model.hidden_dim=256")
_DINO = ("--config=dino:small", *_BUDGET)
_FROM_DINO = (
    *_BUDGET,
    _VIT,
    "--config.init_from={vit_dino}",
    "--config.train.duration=10 epochs",
)

VIT_REAL_CELLS = Experiment(
    folder="2026-11-26-vit-real-cells",
    title="Vision transformers on real cells",
    about="Networks of 64 px images, five folds of about {n_train:,} training and "
    "{n_test:,} test images, one run each (seed 0).",
    runs={
        "resnet_untrained": ("--config=swav:small,resnet", *_DATA, *UNTRAINED),
        "resnet_swav": ("--config=swav:small,resnet", *_BUDGET),
        "resnet_dino": _DINO,
        "resnet_supervised": ("--config=supervised:small", *_BUDGET),
        "vit_untrained": ("--config=swav:small,resnet", *_DATA, *UNTRAINED, _VIT),
        "vit_swav": ("--config=swav:small,resnet", *_BUDGET, _VIT, *_ADAMW, *_MLP_BN),
        "vit_dino": (*_DINO, _VIT, *_ADAMW),
        "vit_supervised": ("--config=vit:small", *_BUDGET),
        "vit_lora": ("--config=dinobloom:lora", *_FROM_DINO),
        "vit_finetune": ("--config=vit:small,finetune", *_FROM_DINO),
    },
    rows={
        "resnet_untrained": ShownRun("ResNet, untrained + linear", "resnet_untrained"),
        "resnet_swav": ShownRun("ResNet, SwAV + linear", "resnet_swav"),
        "resnet_dino": ShownRun("ResNet, DINO + linear", "resnet_dino"),
        "resnet_supervised": ShownRun("ResNet, supervised", "resnet_supervised"),
        "vit_untrained": ShownRun("ViT, untrained + linear", "vit_untrained"),
        "vit_swav": ShownRun("ViT, SwAV + linear", "vit_swav"),
        "vit_dino": ShownRun("ViT, DINO + linear", "vit_dino"),
        "vit_lora": ShownRun("ViT, DINO, then LoRA", "vit_lora"),
        "vit_finetune": ShownRun("ViT, DINO, then fine-tuned", "vit_finetune"),
        "vit_supervised": ShownRun("ViT, supervised", "vit_supervised"),
        # The same readout as of the networks that saw no labels.
        "resnet_supervised_linear": ShownRun(
            "ResNet, supervised, features + linear", "resnet_supervised", probe=True
        ),
        "vit_lora_linear": ShownRun(
            "ViT, DINO, then LoRA, features + linear", "vit_lora", probe=True
        ),
        "vit_finetune_linear": ShownRun(
            "ViT, DINO, then fine-tuned, features + linear", "vit_finetune", probe=True
        ),
        "vit_supervised_linear": ShownRun(
            "ViT, supervised, features + linear", "vit_supervised", probe=True
        ),
    },
    metrics={
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced",
        "macro_f1": "macro F1",
        "macro_f1_without_rare": "macro F1, >= 20",
    },
    pairs=(
        ("resnet_swav", "resnet_untrained"),
        ("resnet_dino", "resnet_untrained"),
        ("vit_swav", "vit_untrained"),
        ("vit_dino", "vit_untrained"),
        ("vit_swav", "vit_dino"),
        ("vit_swav", "resnet_swav"),
        ("vit_dino", "resnet_dino"),
        ("resnet_supervised_linear", "resnet_swav"),
        ("vit_supervised_linear", "vit_swav"),
        ("resnet_supervised_linear", "vit_swav"),
        ("vit_finetune_linear", "vit_dino"),
        ("vit_finetune_linear", "vit_supervised_linear"),
        ("vit_lora_linear", "vit_finetune_linear"),
    ),
    folds=(0, 1, 2, 3, 4),
    curves=("train/loss", "train/embedding_spread"),
)

if __name__ == "__main__":
    sys.exit(main(VIT_REAL_CELLS, __doc__))
