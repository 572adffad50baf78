r"""Training a pretrained network further, with labels.

Not in the paper, which freezes the backbone (configs/linear.py): rates and epochs are
ours. The backbone stands still for the first epoch, until the new classifier makes
sense.

    python -m bmjax.main --config=configs/finetune.py --workdir=runs/finetune \
        --config.data.root=/data/BM_cytomorphology_data --config.init_from=runs/swav

`init_from` takes a run's workdir or a file of weights (.safetensors, .pth) of the same
network. A classifier found there is taken too; one of other classes is an error unless
`--config.init_new_classifier=True`. Variants:

    :demo    synthetic cells, minutes on two CPU cores
    :small   real cells on a CPU: a small network at 96 pixels
    :smoke   seconds, for tests
"""

import ml_collections

from configs import common, supervised

VARIANTS = ("demo", "small", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return a configuration for a pretrained ResNet-50, or a variant of it."""
    common.variants(variant, VARIANTS)
    config = supervised.get_config(variant)
    config.optim.larc_trust = 0.0
    config.optim.learning_rate = 0.01  # ours: a tenth of training from nothing
    config.optim.freeze_backbone = "1 epoch"  # ours: until the classifier makes sense
    if not variant:
        config.data.split = "holdout"  # as the pretraining of configs/swav.py
        config.model.name = "resnet50"  # that of SwAV and SupCon
        config.train.duration = "20 epochs"  # ours
    if variant == "smoke":
        config.optim.freeze_backbone = "1 step"
    return config
