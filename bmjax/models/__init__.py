"""Networks: a backbone of some family with the heads that the methods need.

This folder alone imports flax. The rest of the library sees `make_network`, which gives
two pure functions, `read_tokens`, `NETWORKS`, the table of the names it knows, and what
`bmjax/models/families.py` tells of them.
"""

from bmjax.models.conv.dispatch import LOWERINGS
from bmjax.models.families import (
    AUTO,
    NETWORKS,
    check_image_size,
    family_of,
    feature_dim,
    feature_settings,
    layer_scales,
    preprocessing_of,
    smallest_images,
    spec_of,
)
from bmjax.models.network import has_class_features, make_network, read_tokens

__all__ = [
    "AUTO",
    "LOWERINGS",
    "NETWORKS",
    "check_image_size",
    "family_of",
    "feature_dim",
    "feature_settings",
    "has_class_features",
    "layer_scales",
    "make_network",
    "preprocessing_of",
    "read_tokens",
    "smallest_images",
    "spec_of",
]
