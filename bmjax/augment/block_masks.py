"""Masks of blocks of patches, for methods that hide patches from a network.

BEiT's blocks (Bao et al. 2022) with iBOT's shares (Zhou et al. 2022), as DINOv2 draws
them (dinov2/data/masking.py and collate.py), in shapes that do not depend on the draw.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from bmjax.settings import Number

_SMALLEST = 4  # patches of a block, at the least; dinov2
_LARGEST = 0.5  # of all patches; dinov2, train.py
_ASPECT = 0.3  # height to width, or width to height, at the least; dinov2
_FAILURES = 10  # in a row, after which a mask stays as it is; dinov2
# Blocks that are tried. DINOv2 sets no limit; half of 16 x 16 patches took it 12 on
# average, and 31 at the most in 3,000 draws.
_TRIES = 32


def block_masks(
    key: Array, counts: Int[Array, " views"], *, rows: int, columns: int
) -> Bool[Array, "views {rows} {columns}"]:
    """Draw a mask for each view from rectangles, of at most so many patches.

    Rectangles are laid down one after the other, each in what is still to be masked:
    their area is uniform up to that, the logarithm of their aspect ratio uniform. One
    that is as high or wide as the image, hides nothing new or hides too much is drawn
    again.

    Args:
        key: one random key.
        counts: how many patches to mask; 0: none. A mask may fall a little short.
        rows: of patches.
        columns: of patches.
    """
    draws = jax.random.uniform(key, (_TRIES, len(counts), 4))
    row = jnp.arange(rows)[None, :, None]
    column = jnp.arange(columns)[None, None, :]

    def lay(carry, draw: Float[Array, "views 4"]):
        masks, failures = carry
        left = counts - masks.sum(axis=(1, 2))
        most = jnp.minimum(left, _LARGEST * rows * columns)
        area = _SMALLEST + (most - _SMALLEST) * draw[:, 0]
        aspect = jnp.exp(math.log(_ASPECT) * (1 - 2 * draw[:, 1]))
        height = jnp.round(jnp.sqrt(area * aspect))
        width = jnp.round(jnp.sqrt(area / aspect))
        top = jnp.floor(draw[:, 2] * (rows - height + 1))[:, None, None]
        start = jnp.floor(draw[:, 3] * (columns - width + 1))[:, None, None]
        block = (row >= top) & (row < top + height[:, None, None])
        block &= (column >= start) & (column < start + width[:, None, None])
        new = (block & ~masks).sum(axis=(1, 2))
        fits = (height < rows) & (width < columns) & (new > 0) & (new <= most)
        fits &= (left > 0) & (failures < _FAILURES)
        masks = masks | (block & fits[:, None, None])
        return (masks, jnp.where(fits, 0, failures + 1)), None

    empty = jnp.zeros((len(counts), rows, columns), bool)
    failures = jnp.zeros(len(counts), jnp.int32)
    (masks, _), _ = jax.lax.scan(lay, (empty, failures), draws)
    return masks


def draw_masks(
    key: Array,
    *,
    batch: int,
    views: int,
    rows: int,
    columns: int,
    probability: Number,
    ratio: tuple[Number, Number],
) -> Bool[Array, "{batch} {views} {rows} {columns}"]:
    """Draw which patches of a batch's views are masked.

    A fixed number of views is masked, `views` x `batch` x `probability` rounded down,
    and each of these has a share of its patches masked that is uniform in the range;
    the shares are spread over it, one in each of so many equal parts, as in DINOv2.
    Other than there, the masked views are spread over the images too: at a probability
    of 0.5 it is one of the two views of each image. So at most `views` x `probability`
    of an image, rounded up, are masked, and the patches' loss needs no more room. Each
    view is masked with the same probability and in the same way as there.

    Args:
        key: one random key.
        batch: images.
        views: of each, that may be masked.
        rows: of patches.
        columns: of patches.
        probability: that a view is masked.
        ratio: the least and the largest share of a view's patches.
    """
    order_key, image_key, part_key, share_key, block_key = jax.random.split(key, 5)
    total = int(views * batch * probability)
    each, further = divmod(total, batch)
    # Views of an image in a random order, of which the first are masked.
    place = _ranks(jax.random.uniform(order_key, (batch, views)))
    one_more = _ranks(jax.random.uniform(image_key, (1, batch)))[0] < further
    masked = (place < each + one_more[:, None]).reshape(-1)
    # The masked ones in a random order: the part of the range that each has.
    draw = jax.random.uniform(part_key, (1, batch * views))
    part = _ranks(jnp.where(masked[None], draw, 2.0))[0]
    share = (part + jax.random.uniform(share_key, part.shape)) / max(total, 1)
    low, high = ratio
    counts = jnp.floor(rows * columns * (low + (high - low) * share))
    counts = jnp.where(masked, counts, 0).astype(jnp.int32)
    masks = block_masks(block_key, counts, rows=rows, columns=columns)
    return masks.reshape(batch, views, rows, columns)


def _ranks(values: Float[Array, "lists length"]) -> Int[Array, "lists length"]:
    """The place of each value in its list, from the smallest; no two have the same."""
    length = values.shape[1]
    earlier = jnp.arange(length)[None, :] < jnp.arange(length)[:, None]
    this, other = values[:, :, None], values[:, None, :]
    return ((other < this) | ((other == this) & earlier[None])).sum(axis=2)
