r"""Supervised contrastive pretraining and a linear classifier on its frozen features.

Paper: "Beyond Labels", sections 3.3 and 4, Table 4: macro F1 0.69, accuracy 0.868 on
one 80/20 split of the release. What the paper leaves out comes from the reference,
HobbitLong/SupContrast, main_supcon.py, and 200 epochs from the authors' notebooks.

    python -m bmjax.main --config=configs/supcon.py --workdir=runs/supcon \
        --config.data.root=/data/BM_cytomorphology_data

Four GPUs, as in the paper. `--config.model.head=linear` takes the paper's SwAV head in
the place of the reference's two layers. Variants:

    :demo       synthetic cells, minutes on two CPU cores; needs no data
    :small      real cells on a CPU: a small network at 96 pixels (experiments/)
    :smoke      seconds, for tests
"""

import ml_collections

from configs import common

VARIANTS = ("demo", "small", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return the paper's configuration or a variant of it."""
    asked = common.variants(variant, VARIANTS)
    config = common.base()

    config.augment.large_size = config.data.get_ref("size") * 1  # ours: as supervised
    config.augment.large_scale = (0.2, 1.0)  # supcon
    config.augment.jitter = 0.8  # supcon
    config.augment.hue = 0.1  # supcon
    config.augment.saturation = 0.4  # supcon
    config.augment.value = 0.4  # supcon's brightness

    config.model.name = "resnet50"  # paper, section 4
    config.model.head = "mlp"  # supcon; the paper says only that it ends in 128
    config.model.embedding_dim = 128  # paper

    config.method.name = "supcon"
    config.method.temperature = 0.2  # paper
    config.method.base_temperature = 0.2  # equation 12; the reference's 0.07: x 2.86

    config.optim.learning_rate = 0.05  # supcon, for a batch of 256
    config.optim.final_learning_rate = 0.05 * 0.1**3  # supcon
    config.optim.weight_decay = 1e-4  # supcon

    config.train.duration = "200 epochs"  # authors' notebooks

    if "demo" in asked or "small" in asked:
        _small(config)
    if "demo" in asked:
        common.synthetic(config, images=2100, size=64)
        config.train.duration = "10 epochs"
    if "smoke" in asked:
        common.smoke(config)
    return config


def _small(config: ml_collections.ConfigDict) -> None:
    """Scale the recipe to some thousand images and two CPU cores: all numbers ours."""
    config.data.size = 96
    config.data.batch_size = 64
    config.data.threads = 2
    config.augment.large_scale = (0.3, 1.0)
    config.augment.hue = 0.05
    config.augment.saturation = 0.4
    config.augment.value = 0.3
    config.model.name = "resnet10_w32"
    config.optim.learning_rate = 0.05
    config.train.duration = "40 epochs"
    config.probe.standardize = True
