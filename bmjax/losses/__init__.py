"""Losses: pure functions on arrays, one value per example where that is defined."""

from bmjax.losses.cross_entropy import cross_entropy as cross_entropy
from bmjax.losses.swapped import swapped_prediction as swapped_prediction
from bmjax.losses.transport import sinkhorn as sinkhorn

__all__ = ["cross_entropy", "sinkhorn", "swapped_prediction"]
