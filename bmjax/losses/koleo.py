"""KoLeo: features of a batch are pushed away from their nearest neighbors."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-8  # dinov2, koleo_loss.py: of lengths, distances and the logarithm


def koleo(features: Float[Array, "batch dim"]) -> Float[Array, " batch"]:
    """Minus the logarithm of the distance of each feature to its nearest neighbor.

    With u_i = x_i / |x_i| and n(i) the nearest other u, -ln(|u_i - u_n(i)|): the
    differential entropy's estimator by Kozachenko and Leonenko, as a loss
    (Sablayrolles et al. 2019; DINOv2, koleo_loss.py). It is lowest where features
    spread evenly over the sphere. The gradient flows to both ends of a distance.

    Args:
        features: of images that are not views of each other, at least two.

    Returns:
        One loss for each; the caller takes the mean. Finite where two features are
        the same: small numbers keep the distance above 0, as in the reference.
    """
    wide = features.astype(jnp.promote_types(features.dtype, jnp.float32))
    square = jnp.sum(wide**2, axis=1, keepdims=True)
    points = wide / jnp.sqrt(jnp.maximum(square, _EPSILON**2))
    itself = jnp.eye(len(points), dtype=bool)
    held = jax.lax.stop_gradient(points)
    nearest = jnp.argmax(jnp.where(itself, -1.0, held @ held.T), axis=1)
    # The small number in each difference gives equal points a gradient that is finite.
    differences = points - points[nearest] + _EPSILON
    distances = jnp.sqrt(jnp.sum(differences**2, axis=1))
    return -jnp.log(distances + _EPSILON)
