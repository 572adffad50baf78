"""Convolution as matrix products, for processors, with its gradients written out.

An output pixel sees `height x width` input pixels. Patches of all of them, the usual
way, are nine times the images for a 3x3 kernel, and moving them costs more than the
product. Here the two axes are treated differently. Patches hold the `height` pixels
below each other alone; one product with all columns of the kernel gives what each
patch adds to the `width` outputs beside it; and those are shifted and added up:

    P[y, x] = (input[y s + i - p, x] for each row i)        "rows", 3 times the images
    M[x]    = P[x] @ K                                      K: [rows x C, columns x F]
    output[x] = sum over columns j of M[x s + j - p][j]     "columns"

With D[x] = (cotangent[(x + p - j) / s] for each column j), the adjoint of the last
line, the gradients are two products more, and the adjoint of the first line:

    kernel's = P^T @ D          input's = rows^T (D @ K^T)

With a stride s the input columns x fall into s phases, x mod s, each with its own
product of the kernel's columns that meet it, so that nothing is computed in vain.

Patches are made again for the kernel's gradient and not kept: they are several times
as large as what is kept anyway.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from bmjax.models.conv.windows import Shape, interleave, shifted

BLOCK_CHANNELS = 32  # groups are merged until a block is this many channels wide


def convolve_by_products(
    images: Array, kernel: Array, stride: int, padding: int, groups: int
) -> Array:
    """Convolves as `bmjax.models.conv.dispatch.convolve` does, as matrix products.

    Groups become blocks of `BLOCK_CHANNELS` channels with zeros off the diagonal, and
    all blocks one batched product: 4 channels alone make matrices too narrow for a
    processor.
    """
    shape = Shape(stride, padding, groups, *kernel.shape[:2], *images.shape[1:3])
    return _convolve(shape, images, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(shape: Shape, images: Array, kernel: Array) -> Array:
    dense = _dense(kernel, shape.groups)
    images = _split(images, dense.shape[0])
    added = []
    for phase, columns in shape.phases(shape.columns, shape.width):
        patches = _rows(shape, images, phase)
        product = _product("nxk,nkf->nxf", patches, _columns_of(dense, columns))
        product = product.reshape(*patches.shape[:-1], len(columns), -1)
        added += [
            shifted(product[..., place, :], shift, shape.outputs[1], axis=3)
            for place, (_, shift) in enumerate(columns)
        ]
    return _merge(sum(added[1:], added[0]))


def _forward(shape: Shape, images: Array, kernel: Array):
    return _convolve(shape, images, kernel), (images, kernel)


def _backward(shape: Shape, kept: tuple[Array, Array], cotangent: Array):
    # The barrier keeps XLA from holding the forward pass's patches until now.
    images, kernel, cotangent = lax.optimization_barrier((*kept, cotangent))
    dense = _dense(kernel, shape.groups)
    images, cotangent = (_split(a, dense.shape[0]) for a in (images, cotangent))
    features, outputs = dense.shape[-2:]
    seen, by_column = {}, {}
    for phase, columns in shape.phases(shape.columns, shape.width):
        patches = _rows(shape, images, phase)
        width = patches.shape[3]
        spread = jnp.concatenate(
            [shifted(cotangent, -shift, width, axis=3) for _, shift in columns], -1
        )
        gradient = _kernel_gradient(patches, spread)
        gradient = gradient.reshape(-1, shape.rows, features, len(columns), outputs)
        for place, (column, _) in enumerate(columns):
            by_column[column] = gradient[:, :, :, place]
        product = _product("nxf,nkf->nxk", spread, _columns_of(dense, columns))
        seen[phase] = _rows_adjoint(shape, product.reshape(patches.shape), phase)
    nothing = jnp.zeros_like(dense[:, :, 0])
    kernel_gradient = jnp.stack(
        [by_column.get(j, nothing) for j in range(shape.columns)], axis=2
    )
    return (
        _merge(interleave(seen, shape.stride, shape.width, axis=3)),
        _diagonal(kernel_gradient, shape.groups),
    )


_convolve.defvjp(_forward, _backward)


def _split(images: Array, blocks: int) -> Array:
    """Moves blocks of channels to the front: [B, H, W, C] to [blocks, B, H, W, c]."""
    split = images.reshape(*images.shape[:3], blocks, -1)
    return jnp.moveaxis(split, 3, 0)


def _merge(images: Array) -> Array:
    """Undoes `_split`."""
    merged = jnp.moveaxis(images, 0, 3)
    return merged.reshape(*merged.shape[:3], -1)


def _rows(shape: Shape, images: Array, phase: int) -> Array:
    """Patches of input rows below each other, for the columns of one phase.

    [blocks, B, H, W, c] to [blocks, B, H', columns of the phase, rows * c].
    """
    stride, height = shape.stride, shape.outputs[0]
    last = stride * (height - 1) + 1
    # As many rows as the outputs see; where the stride skips some, not all there are.
    images = images[:, :, :, phase::stride]
    images = shifted(images, -shape.padding, last + shape.rows - 1, axis=2)
    rows = [images[:, :, i : i + last : stride] for i in range(shape.rows)]
    return rows[0] if len(rows) == 1 else jnp.concatenate(rows, axis=-1)


def _rows_adjoint(shape: Shape, seen: Array, phase: int) -> Array:
    """Adds what patches of one phase say of each input row: the adjoint of `_rows`."""
    stride = shape.stride
    seen = seen.reshape(*seen.shape[:-1], shape.rows, -1)
    lines = {}
    # Kernel row i meets input row y s + at in patch y - shift.
    for i in range(shape.rows):
        shift, at = divmod(i - shape.padding, stride)
        length = -(-(shape.height - at) // stride)
        moved = shifted(seen[..., i, :], -shift, length, axis=2)
        lines[at] = lines[at] + moved if at in lines else moved
    return interleave(lines, stride, shape.height, axis=2)


def _product(equation: str, left: Array, right: Array) -> Array:
    """Multiplies blocks of matrices, whose rows are all pixels of all images."""
    left, right = (
        m.reshape(m.shape[0], -1, m.shape[-1]) if m.ndim > 3 else m
        for m in (left, right)
    )
    return jnp.einsum(equation, left, right)


def _kernel_gradient(patches: Array, spread: Array) -> Array:
    """Sums patches times spread cotangents over all pixels: [blocks, k, f].

    XLA copies the first factor of such a product in transposed order: here the narrower
    of the two.
    """
    if patches.shape[-1] <= spread.shape[-1]:
        return _product("nxk,nxf->nkf", patches, spread)
    return _product("nxf,nxk->nfk", spread, patches).swapaxes(1, 2)


def _columns_of(dense: Array, columns: list[tuple[int, int]]) -> Array:
    """The kernel as a matrix [blocks, rows * c, columns * f], of some columns."""
    chosen = jnp.stack([dense[:, :, j] for j, _ in columns], axis=3)
    return chosen.reshape(dense.shape[0], -1, len(columns) * dense.shape[-1])


def _dense(kernel: Array, groups: int) -> Array:
    """Merges groups into blocks, [blocks, rows, columns, c, f], zero off the diagonal.

    Args:
      kernel: [rows, columns, C / groups, F].
      groups: that the channels fall into.
    """
    rows, columns, inputs, outputs = kernel.shape
    merged = _groups_per_block(groups, inputs)
    if merged == 1:
        split = kernel.reshape(rows, columns, inputs, groups, outputs // groups)
        return jnp.moveaxis(split, 3, 0)
    split = kernel.reshape(rows, columns, inputs, -1, merged, outputs // groups)
    diagonal = jnp.eye(merged, dtype=kernel.dtype)
    dense = jnp.einsum("ijcbmf,mn->bijmcnf", split, diagonal)
    shape = (groups // merged, rows, columns, merged * inputs, -1)
    return dense.reshape(shape)


def _diagonal(dense: Array, groups: int) -> Array:
    """Takes the groups' kernels out of blocks: the adjoint of `_dense`."""
    blocks, rows, columns, inputs, outputs = dense.shape
    merged = groups // blocks
    if merged == 1:
        return jnp.moveaxis(dense, 0, 3).reshape(rows, columns, inputs, -1)
    split = (blocks, rows, columns, merged, inputs // merged, merged, outputs // merged)
    diagonal = jnp.einsum("bijmcmf->ijcbmf", dense.reshape(split))
    return diagonal.reshape(rows, columns, inputs // merged, -1)


def _groups_per_block(groups: int, channels: int) -> int:
    """Returns the largest divisor of `groups` whose block fits BLOCK_CHANNELS."""
    fitting = [
        merged
        for merged in range(1, groups + 1)
        if groups % merged == 0 and merged * channels <= BLOCK_CHANNELS
    ]
    return max(fitting, default=1)
