"""Cross-entropy with class probabilities as targets (equation 3 of the paper)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Targets = Int[Array, " batch"] | Float[Array, "batch classes"]


def cross_entropy(
    logits: Float[Array, "batch classes"],
    targets: Targets,
    *,
    smoothing: float = 0.0,
    class_weights: Float[Array, " classes"] | None = None,
) -> Float[Array, " batch"]:
    """Cross-entropy of each example: -sum over classes of w y ln p.

    Args:
        logits: scores before the softmax.
        targets: class numbers, or class probabilities (soft targets, mixup).
        smoothing: share of the target spread evenly over all classes.
        class_weights: w, one for each class; None for 1.

    Returns:
        One loss per example; the caller takes the mean, with weights over
        `target_weights`.
    """
    classes = logits.shape[-1]
    if targets.ndim == 1:
        targets = jax.nn.one_hot(targets, classes, dtype=logits.dtype)
    targets = targets * (1 - smoothing) + smoothing / classes
    if class_weights is not None:
        targets = targets * class_weights[None, :]
    return -jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)


def target_weights(
    targets: Targets, class_weights: Float[Array, " classes"]
) -> Float[Array, " batch"]:
    """How much each example counts: sum over classes of w y.

    A weighted mean divides by their sum (torch's CrossEntropyLoss on class numbers),
    so that the scale of the weights does not matter. Where torch is given
    probabilities it divides by the number of examples; here both are treated alike.
    """
    if targets.ndim == 1:
        return class_weights[targets]
    return targets @ class_weights
