r"""SwAV pretraining and a linear classifier on its frozen features.

Paper: "Beyond Labels", sections 3.2 and 4, Table 4: macro F1 0.73, accuracy 0.857 on
one 80/20 split of the release. What the paper leaves out comes from the reference that
it ran, facebookresearch/swav, scripts/swav_200ep_bs256_pretrain.sh.

    python -m bmjax.main --config=configs/swav.py --workdir=runs/swav \
        --config.data.root=/data/BM_cytomorphology_data

Four GPUs, as in the paper; docs/training.md has the memory that they need. Variants:

    :demo       synthetic cells, minutes on two CPU cores; needs no data
    :small      some thousand real cells on a CPU or one GPU: a small vision transformer
                at 64 pixels (experiments/)
    :multicrop  2 large and 6 small views, as the reference
    :vit        a ViT-S/16, with the head and optimizer that it needs; joins the others
    :resnet     joined with small: a small residual network at 96 pixels in its place
    :smoke      seconds, for tests
"""

import ml_collections

from configs import common

VARIANTS = ("demo", "small", "multicrop", "smoke", "vit", "resnet")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return the paper's configuration or a variant of it."""
    asked = common.variants(variant, VARIANTS)
    if "vit" in asked and "resnet" in asked:
        raise ValueError('variants "vit" and "resnet" are two networks; give one')
    config = common.base()

    config.model.name = "resnet50"  # paper, section 4
    config.model.head = "linear"  # paper: g is a linear layer
    config.model.embedding_dim = 128  # paper

    config.method.name = "swav"
    config.method.prototypes = 1000  # paper
    config.method.queue_length = 1280  # paper; five batches
    config.method.queue_from = "15 epochs"  # paper; used once it is full
    config.method.epsilon = 0.03  # paper
    config.method.iterations = 3  # paper
    config.method.temperature = 0.1  # swav

    config.optim.learning_rate = 0.6  # swav, for a batch of 256
    config.optim.final_learning_rate = 0.0006  # swav
    config.optim.weight_decay = 1e-6  # swav
    config.optim.larc_trust = 0.001  # swav
    config.optim.freeze_prototypes = "2 epochs"  # paper

    config.train.duration = "200 epochs"  # paper

    if "multicrop" in asked:
        config.augment.small = 6  # swav
    vit = "vit" in asked or ("small" in asked and "resnet" not in asked)
    if vit:
        _vit(config)
    if "demo" in asked or "small" in asked:
        _small(config)
        if vit:
            _small_vit(config)
    if "demo" in asked:
        common.synthetic(config, images=2100, size=64)
        config.method.queue_from = "3 epochs"
        config.train.duration = "10 epochs"
    if "smoke" in asked:
        common.smoke(config)
        config.method.prototypes = 12
        config.method.queue_length = 16
        config.method.queue_from = "0 epochs"
        config.optim.freeze_prototypes = "1 step"
        if "vit" in asked:
            config.model.name = "vit_tiny"
            config.model.hidden_dim = 16
            config.optim.warmup = "1 step"
    return config


def _vit(config: ml_collections.ConfigDict) -> None:
    """Put a ViT-S/16 in, with swav's own head and dino's optimizer for it.

    Behind the paper's linear head a vision transformer collapses (measured:
    experiments/2026-11-26-vit-real-cells).
    """
    common.imagenet(config, size=224)
    config.model.name = "vit_small_patch16_224"
    config.model.head = "mlp_bn"  # swav's
    config.model.hidden_dim = 2048  # swav
    config.optim.name = "adamw"  # dino
    config.optim.learning_rate = 5e-4  # dino, for a batch of 256
    config.optim.final_learning_rate = 1e-6  # dino
    config.optim.weight_decay = 0.05  # ours; dino's rises from 0.04 to 0.4
    config.optim.larc_trust = 0.0  # dino
    config.optim.clip_norm = 3.0  # dino
    config.optim.warmup = "10 epochs"  # dino


def _small_vit(config: ml_collections.ConfigDict) -> None:
    """Put a small vision transformer in: all numbers ours.

    Chosen on validation cells in experiments/2026-11-27-small-recipe.
    """
    config.data.size = 64
    config.data.mean = common.MEAN
    config.data.std = common.STD
    config.augment.hue = 0.02  # weaker colors helped a ResNet and a ViT
    config.augment.saturation = 0.2
    config.augment.value = 0.15
    config.model.name = "vit_tiny_patch8_64"
    config.model.hidden_dim = 256
    config.optim.learning_rate = 5e-4
    config.optim.warmup = "2 epochs"


def _small(config: ml_collections.ConfigDict) -> None:
    """Scale the recipe to some thousand images and two CPU cores: all numbers ours."""
    config.data.size = 96
    config.data.batch_size = 64
    config.data.threads = 2
    config.augment.large_size = config.data.get_ref("size") * 1
    config.augment.large_scale = (0.3, 1.0)  # a cell fills its image: keep most of it
    config.augment.hue = 0.05  # the stain tells cells apart; the microscope does not
    config.augment.saturation = 0.4
    config.augment.value = 0.3
    config.model.name = "resnet10_w32"
    config.method.prototypes = 96
    config.method.queue_length = 256  # four batches
    config.method.queue_from = "5 epochs"
    config.method.epsilon = 0.05
    config.optim.freeze_prototypes = "1 epoch"
    config.optim.learning_rate = 0.6
    config.train.duration = "40 epochs"
    config.probe.standardize = True  # the random control has features of any scale
