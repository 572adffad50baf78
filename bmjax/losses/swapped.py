"""SwAV's swapped prediction (equations 8 and 9 of the paper, as they must be meant)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def swapped_prediction(
    scores: Float[Array, "batch prototypes"],
    codes: Float[Array, "batch prototypes"],
    *,
    temperature: float,
) -> Float[Array, " batch"]:
    """Cross-entropy between one view's codes and another view's prediction.

    The paper's ln c_j is taken as ln softmax_j(scores / temperature): a similarity can
    be negative and has no logarithm (facebookresearch/swav, main_swav.py, 309-315).

    Args:
        scores: embeddings @ prototypes of the predicting view.
        codes: Sinkhorn's output for the other view; no gradient flows through it.
        temperature: 0.1 in the reference.

    Returns:
        One loss per example; ln K where the prediction is uniform.
    """
    log_prediction = jax.nn.log_softmax(scores / temperature)
    return -jnp.sum(jax.lax.stop_gradient(codes) * log_prediction, axis=-1)
