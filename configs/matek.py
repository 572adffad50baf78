r"""The baseline of Matek et al. 2021: ResNeXt-50, stain jitter, classes drawn evenly.

Published: five folds, classes drawn up to about 25,000 images, stain and color
augmentation after Tellez et al. 2019; strict matching, macro F1 0.545 worked out from
its precision and recall (Tables 2 to 4, "Baseline"). Its rate, epochs, batch and the
strengths of its augmentation are not given: what is marked ours stands in for them.

    python -m bmjax.main --config=configs/matek.py --workdir=runs/matek \
        --config.data.root=/data/BM_cytomorphology_data --config.data.fold=0

Variants: :demo, :small and :smoke, as those of configs/supervised.py.
"""

import ml_collections

from configs import common, supervised

VARIANTS = ("demo", "small", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """Return the baseline's configuration or a variant of it."""
    common.variants(variant, VARIANTS)
    config = supervised.get_config(variant)
    config.augment.stain = 1.0  # ours: every image
    config.augment.stain_strength = 0.05  # Tellez et al., "HED-light"
    config.augment.jitter = 1.0  # ours: every image
    config.augment.hue = 0.1  # Tellez et al., "HSV-light"
    config.augment.saturation = 0.1  # Tellez et al., "HSV-light"
    config.augment.value = 0.1  # ours, as the other two
    if not variant:
        config.data.per_class = 25_000  # Matek et al.; no class has more
        config.optim.larc_trust = 0.0  # ours: plain SGD
        config.optim.learning_rate = 0.1  # ours
        config.train.duration = "20 epochs"  # ours: 525,000 draws each
    return config
