"""Losses: pure functions on arrays, one value per example where that is defined."""

from bmjax.losses.contrastive import supcon
from bmjax.losses.cross_entropy import cross_entropy, target_weights
from bmjax.losses.koleo import koleo
from bmjax.losses.masked_patches import masked_patch_prediction
from bmjax.losses.swapped import swapped_prediction
from bmjax.losses.transport import sinkhorn

__all__ = [
    "cross_entropy",
    "koleo",
    "masked_patch_prediction",
    "sinkhorn",
    "supcon",
    "swapped_prediction",
    "target_weights",
]
