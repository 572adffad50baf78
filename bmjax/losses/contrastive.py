"""Supervised contrastive learning (equations 11 and 12, as they must be meant)."""

import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float, Int


def supcon(
    embeddings: Float[Array, "batch views dim"],
    labels: Int[Array, " batch"],
    *,
    temperature: float,
) -> Float[Array, "batch views"]:
    """Contrast each view with all others: those of its class are to be the nearest.

    Every view of every image is an anchor i. With s_ik = u_i . u_k / temperature and
    P(i) all other views of the same class, other views of the same image among them,

        L_i = -1/|P(i)| sum over p in P(i) of (s_ip - ln sum over k != i of exp s_ik),

    "L_out" of Khosla et al. 2020 (HobbitLong/SupContrast, losses.py, all views as
    anchors, without its constant factor temperature / base temperature). Equation 11
    of the paper has i itself in P(i), and equation 12 counts images where its text
    counts views: as printed, the loss could be negative.

    Args:
        embeddings: taken as they are; the caller brings them to length 1.
        labels: class numbers.
        temperature: 0.07 in the reference.

    Returns:
        One loss for each anchor; 0 for one without a positive. The caller's mean
        counts such anchors, as the reference's does.
    """
    batch, views, dim = embeddings.shape
    anchors = embeddings.reshape(batch * views, dim)
    similarity = anchors @ anchors.T / temperature
    itself = jnp.eye(batch * views, dtype=bool)
    of_view = jnp.repeat(labels, views)
    positive = (of_view[:, None] == of_view[None, :]) & ~itself
    # Minus infinity leaves i out of its own sum, however large s_ii is: the published
    # row maximum includes it, and underflows where embeddings are long.
    others = logsumexp(jnp.where(itself, -jnp.inf, similarity), axis=1, keepdims=True)
    # A lone view has nobody to compare with: its sum is empty, its loss 0.
    others = jnp.where(jnp.isfinite(others), others, 0.0)
    log_share = jnp.where(positive, similarity - others, 0.0)
    return -(log_share.sum(axis=1) / jnp.maximum(positive.sum(axis=1), 1)).reshape(
        batch, views
    )
