r"""Cross-entropy with mixup: ResNeXt-50, classes drawn evenly.

Paper: "Beyond Labels", section 4, Table 3 (100 epochs, five folds, macro F1 0.70, no
better than without). What the paper leaves out comes from the authors' code,
lab/configs/resnet/resnext50_32x4d_mixup_100ep.py.

    python -m bmjax.main --config=configs/mixup.py --workdir=runs/mixup \
        --config.data.root=/data/BM_cytomorphology_data --config.data.fold=0

Variants are those of configs/supervised.py.
"""

import ml_collections

from configs import supervised

VARIANTS = supervised.VARIANTS


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return configs/supervised.py with mixup."""
    config = supervised.get_config(variant)
    config.method.name = "mixup"
    config.method.alpha = 0.1  # authors' code, for Table 3
    return config
