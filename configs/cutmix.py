r"""Cross-entropy with cutmix: ResNeXt-50, classes drawn evenly.

Not in the paper; the authors' code has it beside mixup,
lab/configs/resnet/resnext50_32x4d_cutmix_and_mixup.py.

    python -m bmjax.main --config=configs/cutmix.py --workdir=runs/cutmix \
        --config.data.root=/data/BM_cytomorphology_data --config.data.fold=0

Variants are those of configs/supervised.py.
"""

import ml_collections

from configs import supervised

VARIANTS = supervised.VARIANTS


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return configs/supervised.py with cutmix."""
    config = supervised.get_config(variant)
    config.method.name = "cutmix"
    config.method.alpha = 0.2  # authors' code
    return config
