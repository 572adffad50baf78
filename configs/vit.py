r"""A vision transformer trained with labels: from chance, or from a file of weights.

Not in the paper, whose networks are residual ones. The recipe is DeiT's (Touvron et al.
2021) as far as it fits a set of this size; from weights use :finetune.

    python -m bmjax.main --config=configs/vit.py --workdir=runs/vit \
        --config.data.root=/data/BM_cytomorphology_data
    python -m bmjax.main --config=configs/vit.py:finetune --workdir=runs/vit-finetune \
        --config.data.root=/data/BM_cytomorphology_data --config.init_from=FILE

Any network of docs/models.md may stand in `model.name`, with `data.size` a multiple of
its patch and `data.mean`, `data.std` and `data.resize` those of its weights. Variants,
joined by a comma:

    :finetune  from weights: lower layers learn more slowly
    :demo      synthetic cells, minutes on two CPU cores
    :small     real cells on a CPU: a small network at 64 pixels
    :smoke     seconds, for tests
"""

import ml_collections

from configs import common

VARIANTS = ("finetune", "demo", "small", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return the configuration of a ViT-S/16 from chance, or a variant of it."""
    asked = common.variants(variant, VARIANTS)
    config = common.base()
    common.imagenet(config, size=224)
    config.data.mean = (0.5, 0.5, 0.5)  # timm, vision_transformer.py
    config.data.std = (0.5, 0.5, 0.5)  # likewise
    config.data.resize = "bicubic"  # likewise
    config.data.split = "kfold"  # paper, Table 3
    config.data.sampling = "balanced"  # paper, section 3.1

    config.augment.large = 1
    config.augment.large_scale = (0.3, 1.0)  # ours; DeiT 0.08, which cuts cells apart
    config.augment.hue = 0.05  # ours: the stain tells cells apart
    config.augment.saturation = 0.4  # DeiT's color jitter
    config.augment.value = 0.3  # DeiT's

    config.model.name = "vit_small_patch16_224"
    config.model.drop_path = 0.1  # DeiT

    config.method.name = "supervised"
    config.method.smoothing = 0.1  # DeiT
    config.method.class_weights = "none"
    config.method.logit_adjustment = 0.0

    config.optim.name = "adamw"  # DeiT
    config.optim.learning_rate = 2.5e-4  # DeiT: 5e-4 for a batch of 512
    config.optim.final_learning_rate = 1e-5  # DeiT
    config.optim.warmup = "5 epochs"  # DeiT
    config.optim.warmup_start = 1e-6  # DeiT
    config.optim.weight_decay = 0.05  # DeiT

    config.train.duration = "100 epochs"  # as the paper's supervised runs

    if "finetune" in asked:
        config.optim.layer_decay = 0.75  # MAE (He et al. 2022), fine-tuning
        config.optim.warmup = "1 epoch"  # ours
        config.train.duration = "10 epochs"  # HemaHier
        config.init_new_classifier = True
    if "demo" in asked or "small" in asked:
        config.data.size = 64
        config.data.batch_size = 64
        config.data.threads = 2
        config.data.sampling = "natural"
        config.model.name = "vit_tiny_patch8_64"
        config.optim.learning_rate = 1e-3  # ours, and so are the numbers below
        config.train.duration = "40 epochs"
        config.probe.standardize = True
    if "demo" in asked:
        common.synthetic(config, images=2100, size=64)
        config.data.sampling = "balanced"
        config.data.per_class = 80
        config.augment.large_scale = (0.5, 1.0)  # its classes are shapes: keep them
        config.train.duration = "24 epochs"
    if "smoke" in asked:
        common.smoke(config)
        config.data.per_class = 4
        config.model.name = "vit_tiny"
    return config
