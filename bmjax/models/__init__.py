"""Networks: a ResNet or ResNeXt backbone with the heads that the methods need.

This folder alone imports flax. The rest of the library sees `make_network`, which gives
two pure functions, and `NETWORKS`, the table of the names it knows.
"""

from bmjax.models.conv.dispatch import LOWERINGS
from bmjax.models.network import make_network
from bmjax.models.resnet import NETWORKS, feature_dim

__all__ = ["LOWERINGS", "NETWORKS", "feature_dim", "make_network"]
