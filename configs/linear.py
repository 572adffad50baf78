r"""A linear classifier on a frozen, pretrained backbone: the paper's last stage.

Paper: "Beyond Labels", sections 3.2 and 3.3, Table 4. Recipe: facebookresearch/swav,
eval_linear.py, on augmented views. Every run of SwAV or SupCon ends in a linear probe
on plain images, which is faster and needs no second run; this is the published way.

    python -m bmjax.main --config=configs/linear.py --workdir=runs/swav-linear \
        --config.data.root=/data/BM_cytomorphology_data --config.init_from=runs/swav

`init_from` takes a run's workdir or a file of weights (.safetensors, .pth) of the same
network; without it the backbone is a random one, the control. Variants:

    :demo    synthetic cells, minutes on two CPU cores
    :small   real cells on a CPU: a small network at 96 pixels
    :smoke   seconds, for tests
"""

import ml_collections

from configs import common

VARIANTS = ("demo", "small", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return the paper's configuration or a variant of it."""
    asked = common.variants(variant, VARIANTS)
    config = common.base()

    config.augment.large = 1
    config.augment.large_scale = (0.08, 1.0)  # eval_linear.py: torchvision's default
    config.augment.jitter = 0.0  # eval_linear.py: crops and flips alone

    config.model.name = "resnet50"  # paper

    config.method.name = "linear"
    config.method.smoothing = 0.0
    config.method.class_weights = "none"
    config.method.logit_adjustment = 0.0

    config.optim.learning_rate = 0.3  # eval_linear.py, for a batch of 256
    config.optim.weight_decay = 1e-6  # eval_linear.py
    config.optim.hold = "1 epoch"  # eval_linear.py

    config.train.duration = "100 epochs"  # authors' notebooks: linear_epoch=99

    config.init_new_classifier = True

    if "demo" in asked or "small" in asked:
        config.data.size = 96
        config.data.batch_size = 64
        config.data.threads = 2
        config.augment.large_size = config.data.get_ref("size") * 1
        config.augment.large_scale = (0.3, 1.0)
        config.model.name = "resnet10_w32"
        config.train.duration = "20 epochs"
    if "demo" in asked:
        common.synthetic(config, images=2100, size=64)
        config.train.duration = "5 epochs"
    if "smoke" in asked:
        common.smoke(config)
    return config
