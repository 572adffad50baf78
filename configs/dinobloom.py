r"""DinoBloom's encoders, adapted to the cells of a folder.

Not in the paper. DinoBloom (Koch et al. 2024) is a DINOv2 vision transformer that went
on learning on 380,000 cells of blood and marrow; its files are at Zenodo (10908163) and
Hugging Face (MarrLab/DinoBloom). Give one of the size in `model.name`:

    python -m bmjax.main --config=configs/dinobloom.py --workdir=runs/dinobloom \
        --config.data.root=/data/BM_cytomorphology_data \
        --config.init_from=DinoBloom-S.pth

Without a variant the backbone is frozen and a linear classifier learns on it. Every run
ends in the probes too, and in DinoBloom's own readout of the features
(probe.protocol). DinoBloom learned on
images of the Matek set too, without labels: but for its own fixed split
(data.split=dinobloom), test images may be among them, which no file says. Variants,
joined by a comma:

    :flat      HemaHier's flat baseline: linear on four class tokens and the mean patch
    :lora      HemaHier's rank and alpha: low-rank adapters learn, the backbone stays
    :finetune  all parameters learn, lower layers more slowly
    :smoke     seconds, for tests, from chance
"""

import ml_collections

from configs import common

VARIANTS = ("flat", "lora", "finetune", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return the configuration of a frozen DinoBloom-S, or a variant of it."""
    asked = common.variants(variant, VARIANTS)
    config = common.base()
    common.imagenet(config, size=224)  # DinoBloom, its evaluation of marrow cells
    config.data.resize = "bilinear"  # likewise (dinov2/eval/utils.py)
    config.data.batch_size = 64  # HemaHier

    config.augment.large = 1
    config.augment.large_scale = (0.5, 1.0)  # ours: most of the cell stays
    config.augment.jitter = 0.0  # ours: the weights know this stain

    config.model.name = "dinobloom_s"

    config.method.name = "linear"
    config.method.smoothing = 0.05  # HemaHier
    config.method.class_weights = "none"
    config.method.logit_adjustment = 0.0

    config.optim.name = "adamw"  # HemaHier
    config.optim.learning_rate = 3e-4  # HemaHier
    config.optim.weight_decay = 1e-4  # HemaHier

    config.train.duration = "10 epochs"  # HemaHier, which reports the best of them; the
    # last counts here

    config.init_new_classifier = True

    config.probe.protocol = "dinobloom"

    if "flat" in asked:
        config.model.pooling = "cls4_patch_mean"  # HemaHier
    if "lora" in asked:
        config.method.name = "supervised"
        config.lora.rank = 16  # HemaHier, and alpha 128
        config.optim.clip_norm = 1.0  # ours
    if "finetune" in asked:
        config.method.name = "supervised"
        config.optim.learning_rate = 1e-4  # ours
        config.optim.layer_decay = 0.75  # MAE (He et al. 2022), fine-tuning
        config.optim.weight_decay = 0.05  # MAE
        config.optim.warmup = "1 epoch"  # ours
        config.model.drop_path = 0.1  # MAE
        config.optim.clip_norm = 1.0  # ours
    if "smoke" in asked:
        common.smoke(config)
        config.data.size = 28
        config.model.name = "dinov2_nano14"
        if "flat" in asked:
            config.model.pooling = "cls_patch_mean"  # it has two blocks
        if "lora" in asked:
            config.lora.rank = 2
    return config
