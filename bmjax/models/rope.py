"""Rotary positions of patches (Su et al. 2021, in two dimensions as DINOv3 has them).

Each query and key of a patch is turned by angles that grow with the patch's place, so
that their product depends on the distance between patches. There is nothing to learn;
the periods are in a file of weights and are taken from it.
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from bmjax.models.init import Given

_BASE = 100.0  # of the periods; facebookresearch/dinov3, pos_embed_rope_base

Rotation = tuple[Array, Array]  # sine and cosine, each float32 [patches, head width]


class RotaryPositions(nn.Module):
    """Makes the rotation of each patch from the periods.

    The periods are kept beside the running statistics ("batch_stats"): the optimizer
    does not see them, and they are read and written with the weights. Released files
    hold them rounded to bfloat16, which is why they are not computed anew.
    """

    head_width: int  # a multiple of 4: sine and cosine, of rows and of columns

    @nn.compact
    def __call__(self, rows: int, columns: int) -> Rotation:
        """Returns sine and cosine for rows * columns patches in reading order."""
        count = self.head_width // 4
        begins = Given(default_periods(count))
        periods = self.variable("batch_stats", "periods", begins, None, (count,)).value
        # float32 whatever the activations are, as in facebookresearch/dinov3.
        periods = periods.astype(jnp.float32)
        places = jnp.stack(
            jnp.meshgrid(_centers(rows), _centers(columns), indexing="ij"), axis=-1
        )
        angles = 2 * jnp.pi * places.reshape(-1, 2, 1) / periods.reshape(1, 1, -1)
        angles = jnp.tile(angles.reshape(rows * columns, -1), (1, 2))
        return jnp.sin(angles), jnp.cos(angles)


def default_periods(count: int) -> tuple[float, ...]:
    """Returns the periods that training begins with, of half as many numbers a head."""
    return tuple(_BASE ** (index / count) for index in range(count))


def _centers(count: int) -> Array:
    """Centers of patches side by side, from -1 to 1 over the image's own side."""
    return (jnp.arange(count, dtype=jnp.float32) + 0.5) / count * 2 - 1


def rotate(vectors: Array, rotation: Rotation) -> Array:
    """Turns the queries or keys of patches; those of other tokens stay.

    Number i of a head's first half and number i of its second half are one plane.

    Args:
      vectors: float [B, heads, T, head width], the patches last.
      rotation: of `RotaryPositions`.

    Returns:
      the same shape and type.
    """
    sine, cosine = (part[None, None] for part in rotation)
    before = vectors.shape[2] - sine.shape[2]
    kept, patches = vectors[:, :, :before], vectors[:, :, before:]
    # In float32 or wider, as in facebookresearch/dinov3.
    wide = patches.astype(jnp.promote_types(patches.dtype, sine.dtype))
    first, second = jnp.split(wide, 2, axis=-1)
    turned = wide * cosine + jnp.concatenate([-second, first], axis=-1) * sine
    return jnp.concatenate([kept, turned.astype(vectors.dtype)], axis=2)
