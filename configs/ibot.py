r"""DINOv2's way to learn, as DinoBloom used it: DINO on views, iBOT on hidden patches.

Not in the paper. DinoBloom (Koch et al. 2024) goes on from DINOv2's weights, with two
large views an image and no small ones. Numbers are those of its repository
(marrlab/DinoBloom, configs/train/custom.yaml and data/augmentations.py) or, where it
leaves them, DINOv2's defaults (facebookresearch/dinov2, ssl_default_config.yaml):

    python -m bmjax.main --config=configs/ibot.py --workdir=runs/ibot \
        --config.data.root=/data/BM_cytomorphology_data \
        --config.init_from=dinov2_vits14_pretrain.pth

From DinoBloom's own file, give its name: --config.model.name=dinobloom_s. Without
`init_from` it begins from chance, for which DINOv2 has other numbers. The loss of the
patches holds several arrays of [batch, 128, K] numbers, 8.6 GB each, divided among the
devices. Variants:

    :demo       synthetic cells, minutes on two CPU cores; needs no data
    :small      real cells on a CPU: a small network at 56 pixels
    :smoke      seconds, for tests
"""

import ml_collections

from configs import common

VARIANTS = ("demo", "small", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return a configuration that goes on from DINOv2's ViT-S/14, or a variant."""
    asked = common.variants(variant, VARIANTS)
    config = common.base()
    common.imagenet(config, size=224)  # dinobloom
    config.data.resize = "bicubic"  # of DINOv2's weights; dinobloom lanczos

    config.augment.large_scale = (0.32, 1.0)  # dinov2
    config.augment.jitter = 0.5  # dinobloom
    config.augment.hue = 0.1  # dinov2
    config.augment.saturation = 0.2  # dinov2
    config.augment.value = 0.4  # dinov2's brightness; its contrast is not there
    config.augment.stain = 0.5  # dinobloom
    config.augment.stain_strength = 0.07  # dinobloom
    config.augment.blur = 0.1  # dinobloom, and no grayscale

    config.model.name = "dinov2_vits14"  # dinobloom
    config.model.head = "mlp_gelu"  # dinov2
    config.model.hidden_dim = 2048  # dinov2
    config.model.embedding_dim = 384  # dinobloom's bottleneck for ViT-S; dinov2 256
    config.model.drop_path = 0.0  # dinobloom: networks of torch.hub have none

    config.method.name = "ibot"
    config.method.prototypes = 65_536  # dinov2
    config.method.patch_prototypes = 65_536  # dinobloom: a head of their own; dinov2: 0
    config.method.prototypes_from = "1 epoch"  # dinov2
    config.method.centering = "sinkhorn"  # dinobloom; or "softmax"
    config.method.iterations = 3  # dinov2
    config.method.center_momentum = 0.9  # dinov2; of "softmax"
    config.method.teacher_momentum = 0.994  # dinobloom
    config.method.teacher_still_from = config.train.get_ref("duration") * 1  # dinov2
    config.method.teacher_temperature = 0.07  # dinov2
    config.method.teacher_temperature_start = 0.04  # dinov2
    config.method.teacher_temperature_warmup = "15 epochs"  # dinov2: 30 of 100
    config.method.temperature = 0.1  # dinov2
    config.method.mask_probability = 0.5  # dinov2
    config.method.mask_ratio = (0.1, 0.5)  # dinov2
    config.method.class_weight = 1.0  # dinov2; its sum of two of three terms: 2 / 3
    config.method.patch_weight = 1.0  # dinov2
    config.method.koleo_weight = 0.1  # dinov2

    config.optim.name = "adamw"  # dinov2
    config.optim.learning_rate = 1e-4  # dinobloom: 2e-4 x sqrt(batch / 1024)
    config.optim.final_learning_rate = 1e-6  # dinov2
    config.optim.warmup = "5 epochs"  # dinov2: 10 of 100
    config.optim.weight_decay = 0.04  # dinov2
    config.optim.final_weight_decay = 0.2  # dinobloom
    config.optim.clip_norm = 3.0  # dinov2, of backbone and heads each

    config.train.duration = "50 epochs"  # ours: 7 million images of the Matek set

    if "demo" in asked or "small" in asked:
        _small(config)
    if "demo" in asked:
        common.synthetic(config, images=2100, size=56)
        config.train.duration = "10 epochs"
    if "smoke" in asked:
        common.smoke(config)
        config.data.size = 56
        config.model.name = "dinov2_nano14"
        config.model.hidden_dim = 16
        config.method.prototypes = 12
        config.method.patch_prototypes = 10
        config.method.teacher_temperature_warmup = "2 steps"
        config.optim.warmup = "1 step"
    return config


def _small(config: ml_collections.ConfigDict) -> None:
    """Scale the recipe to some thousand images and two CPU cores: all numbers ours."""
    config.data.size = 56
    config.data.batch_size = 64
    config.data.threads = 2
    config.augment.large_scale = (0.4, 1.0)
    config.augment.hue = 0.05
    config.augment.stain = 0.0
    config.model.name = "dinov2_tiny14"
    config.model.hidden_dim = 256
    config.model.embedding_dim = 64
    config.method.prototypes = 256
    config.method.patch_prototypes = 256
    config.method.teacher_momentum = 0.99
    config.method.teacher_temperature_warmup = "5 epochs"
    config.optim.learning_rate = 5e-4
    config.optim.warmup = "2 epochs"
    config.train.duration = "40 epochs"
    config.probe.standardize = True
