"""Optimal transport of a batch onto prototypes: SwAV's codes."""

import jax
import jax.numpy as jnp
from jax.nn import logsumexp
from jaxtyping import Array, Bool, Float


def sinkhorn(
    scores: Float[Array, "batch prototypes"],
    *,
    epsilon: float | Float[Array, ""],
    iterations: int,
    counted: Bool[Array, " batch"] | None = None,
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
        counted: the rows that are examples; the others have no mass, and their codes
            are 0. None: all.

    Returns:
        Codes; each row sums to 1, and columns to B/K after enough rounds.
    """
    B, K = scores.shape
    log_Q = scores.astype(jnp.promote_types(scores.dtype, jnp.float32)) / epsilon
    if counted is not None:
        return _of_counted(log_Q, counted[:, None], iterations)
    log_Q -= logsumexp(log_Q)

    def round_of_scaling(_, log_Q):
        log_Q -= logsumexp(log_Q, axis=0, keepdims=True) + jnp.log(K)
        return log_Q - logsumexp(log_Q, axis=1, keepdims=True) - jnp.log(B)

    return jnp.exp(jax.lax.fori_loop(0, iterations, round_of_scaling, log_Q)) * B


def _of_counted(
    log_Q: Float[Array, "batch prototypes"],
    counted: Bool[Array, "batch 1"],
    iterations: int,
) -> Float[Array, "batch prototypes"]:
    """The same rounds among the counted rows alone; B is how many they are."""
    K, log_B = log_Q.shape[1], jnp.log(jnp.maximum(counted.sum(), 1))
    log_Q = jnp.where(counted, log_Q, -jnp.inf)
    log_Q -= _finite(logsumexp(log_Q))

    def round_of_scaling(_, log_Q):
        log_Q -= _finite(logsumexp(log_Q, axis=0, keepdims=True)) + jnp.log(K)
        return log_Q - _finite(logsumexp(log_Q, axis=1, keepdims=True)) - log_B

    return jnp.exp(jax.lax.fori_loop(0, iterations, round_of_scaling, log_Q) + log_B)


def _finite(log_mass: Array) -> Array:
    """What has no mass is divided by 1, not by 0."""
    return jnp.where(jnp.isfinite(log_mass), log_mass, 0.0)
