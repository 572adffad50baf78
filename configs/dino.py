r"""DINO pretraining and a linear classifier on its frozen features.

Not in the paper: a newer way to learn without labels, to set beside SwAV. Numbers are
those of facebookresearch/dino, main_dino.py, for convolutional networks (:vit: for
vision transformers), except where they depend on its much larger batch and data set.

    python -m bmjax.main --config=configs/dino.py --workdir=runs/dino \
        --config.data.root=/data/BM_cytomorphology_data

Variants:

    :demo       synthetic cells, minutes on two CPU cores; needs no data
    :small      real cells on a CPU: a small network at 96 pixels
    :vit        a vision transformer with dino's recipe for it; joins the others by a
                comma, as vit,small
    :smoke      seconds, for tests
"""

import ml_collections

from configs import common

VARIANTS = ("demo", "small", "smoke", "vit")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return a configuration to set beside the paper's, or a variant of it."""
    asked = common.variants(variant, VARIANTS)
    config = common.base()

    config.augment.large_scale = (0.14, 1.0)  # dino, README: for ResNet-50
    config.augment.small = 8  # dino
    config.augment.small_scale = (0.05, 0.14)  # dino, README: for ResNet-50
    config.augment.hue = 0.1  # dino
    config.augment.saturation = 0.2  # dino
    config.augment.value = 0.4  # dino's brightness

    config.model.name = "resnet50"  # as the paper's SwAV
    config.model.head = "mlp"  # dino's has a third layer
    config.model.hidden_dim = 2048  # dino
    config.model.embedding_dim = 256  # dino's bottleneck

    config.method.name = "dino"
    config.method.prototypes = 8192  # ours; dino: 65,536 for ten times the images
    config.method.prototypes_from = "1 epoch"  # dino's freeze_last_layer
    config.method.teacher_momentum = 0.9995  # dino: for a batch of 256
    config.method.teacher_still_from = config.train.get_ref("duration") * 1  # dino
    config.method.teacher_temperature = 0.04  # dino
    start = config.method.get_ref("teacher_temperature") * 1
    config.method.teacher_temperature_start = start  # dino: no warm-up, by default
    config.method.teacher_temperature_warmup = "0 epochs"  # likewise
    config.method.temperature = 0.1  # dino
    config.method.center_momentum = 0.9  # dino

    config.optim.learning_rate = 0.03  # ours; dino's default is for AdamW
    config.optim.final_learning_rate = 1e-6  # dino
    config.optim.warmup = "10 epochs"  # dino
    config.optim.weight_decay = 1e-4  # dino, README: for ResNet-50

    config.train.duration = "200 epochs"  # as the paper's SwAV

    if "vit" in asked:
        _vit(config)
    if "demo" in asked or "small" in asked:
        _small(config)
        if "vit" in asked:
            _small_vit(config)
    if "demo" in asked:
        common.synthetic(config, images=2100, size=64)
        config.train.duration = "10 epochs"
    if "smoke" in asked:
        common.smoke(config)
        config.augment.small = 1
        config.model.hidden_dim = 16
        config.method.prototypes = 12
        config.optim.warmup = "1 step"
        if "vit" in asked:
            config.model.name = "vit_tiny"
            config.method.teacher_temperature_warmup = "2 steps"
    return config


def _vit(config: ml_collections.ConfigDict) -> None:
    """Take dino's recipe for a ViT-S/16: its defaults, and README's temperatures."""
    common.imagenet(config, size=224)
    config.augment.large_scale = (0.4, 1.0)  # dino
    config.augment.small_size = 96  # dino; a multiple of the patch
    config.augment.small_scale = (0.05, 0.4)  # dino

    config.model.name = "vit_small_patch16_224"
    config.model.head = "mlp_gelu"  # dino's
    config.model.drop_path = 0.1  # dino

    config.method.teacher_temperature = 0.07  # dino, README
    config.method.teacher_temperature_start = 0.04  # dino, README
    config.method.teacher_temperature_warmup = "30 epochs"  # dino, README

    config.optim.name = "adamw"  # dino
    config.optim.learning_rate = 5e-4  # dino, for a batch of 256
    config.optim.weight_decay = 0.04  # dino
    config.optim.final_weight_decay = 0.4  # dino
    config.optim.clip_norm = 3.0  # dino
    config.optim.clip_each = True  # dino, utils.py


def _small_vit(config: ml_collections.ConfigDict) -> None:
    """Put a small vision transformer in: all numbers ours."""
    config.data.size = 64
    config.augment.small_size = 32
    config.model.name = "vit_tiny_patch8_64"
    config.model.drop_path = 0.0
    config.method.teacher_temperature_warmup = "3 epochs"
    config.optim.learning_rate = 5e-4


def _small(config: ml_collections.ConfigDict) -> None:
    """Scale the recipe to some thousand images and two CPU cores: all numbers ours."""
    config.data.size = 96
    config.data.batch_size = 64
    config.data.threads = 2
    config.augment.large_size = config.data.get_ref("size") * 1
    config.augment.large_scale = (0.3, 1.0)
    config.augment.small = 0
    config.augment.hue = 0.05
    config.augment.saturation = 0.4
    config.augment.value = 0.3
    config.model.name = "resnet10_w32"
    config.model.hidden_dim = 256
    config.model.embedding_dim = 64
    config.method.prototypes = 256
    config.method.teacher_momentum = 0.99
    config.optim.learning_rate = 0.05
    config.optim.warmup = "2 epochs"
    config.train.duration = "40 epochs"
    config.probe.standardize = True
