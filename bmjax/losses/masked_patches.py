"""iBOT's loss: a student predicts the teacher's codes of patches it does not see."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bmjax.losses.swapped import swapped_prediction


def masked_patch_prediction(
    scores: Float[Array, "views slots prototypes"],
    codes: Float[Array, "views slots prototypes"],
    masked: Bool[Array, "views slots"],
    *,
    temperature: float,
) -> Float[Array, " views"]:
    """Cross-entropy between codes and prediction, averaged over a view's patches.

    Zhou et al. 2022 (iBOT); facebookresearch/dinov2, ibot_patch_loss.py,
    `forward_masked`: each view counts the same, however many of its patches are masked.

    Args:
        scores: of the student's patches with the prototypes.
        codes: of the teacher for the same patches; no gradient flows through them.
        masked: which of the slots hold a patch that the student did not see. What the
            others hold has no part.
        temperature: of the prediction.

    Returns:
        One loss for each view; 0 for one without a masked patch. The caller's mean
        counts the views that have none at all, as the reference's does.
    """
    views, slots, prototypes = scores.shape
    each = swapped_prediction(
        scores.reshape(-1, prototypes),
        codes.reshape(-1, prototypes),
        temperature=temperature,
    ).reshape(views, slots)
    total = jnp.sum(jnp.where(masked, each, 0.0), axis=1)
    return total / jnp.maximum(masked.sum(axis=1), 1)
