"""Cross-entropy with class probabilities as targets (equation 3 of the paper)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def cross_entropy(
    logits: Float[Array, "batch classes"],
    targets: Int[Array, " batch"] | Float[Array, "batch classes"],
    *,
    smoothing: float = 0.0,
) -> Float[Array, " batch"]:
    """Cross-entropy of each example: -sum over classes of y ln p.

    Args:
        logits: scores before the softmax.
        targets: class numbers, or class probabilities (soft targets, mixup).
        smoothing: share of the target spread evenly over all classes.

    Returns:
        One loss per example; the caller takes the mean.
    """
    classes = logits.shape[-1]
    if targets.ndim == 1:
        targets = jax.nn.one_hot(targets, classes, dtype=logits.dtype)
    targets = targets * (1 - smoothing) + smoothing / classes
    return -jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)
