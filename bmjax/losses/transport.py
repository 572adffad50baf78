"""Optimal transport of a batch onto prototypes: SwAV's codes."""

import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Float


def sinkhorn(
    scores: Float[Array, "batch prototypes"], *, epsilon: float, iterations: int
) -> Float[Array, "batch prototypes"]:
    """Codes: the soft assignment of a batch that uses all prototypes equally.

    The published iteration on Q = exp(scores / epsilon), with the paper's letters:
    Q is divided by its total, then in each round every prototype (K of them) is scaled
    to mass 1/K and every example (B of them) to mass 1/B; the result times B has rows
    that sum to 1 (SwAV, appendix A; facebookresearch/swav, main_swav.py, 353-376).
    Here it runs on ln Q: the same numbers, finite in float32 where exp overflows or
    vanishes (scores of 5 at epsilon 0.03). No gradient is wanted through it: the
    caller stops it.

    Args:
        scores: similarities of embeddings and prototypes, queue rows included.
        epsilon: smoothness; smaller is closer to a hard assignment.
        iterations: rounds; with 0 the rows do not sum to 1, as in the reference.

    Returns:
        Codes; each row sums to 1, and columns to B/K after enough rounds.
    """
    B, K = scores.shape
    log_Q = scores.astype(jnp.promote_types(scores.dtype, jnp.float32)) / epsilon
    log_Q -= logsumexp(log_Q)

    def round_of_scaling(_, log_Q):
        log_Q -= logsumexp(log_Q, axis=0, keepdims=True) + jnp.log(K)
        return log_Q - logsumexp(log_Q, axis=1, keepdims=True) - jnp.log(B)

    return jnp.exp(jax.lax.fori_loop(0, iterations, round_of_scaling, log_Q)) * B
