"""Convolution in narrow groups as sums of shifted images, for processors.

A group of 4 or 8 channels is too narrow for a matrix product: merged into blocks with
others, most of what is multiplied is zero. But all groups do the same, so here it is
they that a vector instruction runs over:

    output[y, x, f, g] = sum over rows i, columns j and channels c of
                         input[y s + i - p, x s + j - p, c, g] K[i, j, c, f, g]

Each term is a multiply-add of whole images, and XLA makes one loop of all of them. The
images' gradient, the adjoint, has the same form; so has the kernel's, with a term for
each column x of the output:

    kernel's[i, j, c, f, g] =
        sum over images and rows y of sum over columns x of
        input[y s + i - p, x s + j - p, c, g] cotangent[y, x, f, g]

Each of these loops is kept apart from what comes before and after.
"""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
from jax import Array, lax

from bmjax.models.conv.windows import Shape, interleave, shifted
from bmjax.models.no_inline import apart

# Pairs of an input and an output channel in one loop. Its weights, 9 * 32 * 32 numbers
# for a 3x3 kernel and 32 groups, then about fit a processor's first cache.
MOST_PAIRS = 32
MOST_COLUMNS = 32  # terms of a loop of the kernel's gradient: long ones compile slowly


def convolve_narrow_groups(
    images: Array, kernel: Array, stride: int, padding: int, groups: int
) -> Array:
    """Convolves as `dispatch.convolve` does, as sums of shifted images."""
    shape = Shape(stride, padding, groups, *kernel.shape[:2], *images.shape[1:3])
    return _convolve(shape, images, kernel)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(shape: Shape, images: Array, kernel: Array) -> Array:
    images, kernel = (_groups_last(a, shape.groups) for a in (images, kernel))
    terms = {
        (i - shape.padding, j - shape.padding): kernel[i, j]
        for i, j in product(range(shape.rows), range(shape.columns))
    }
    return _groups_first(_sum_shifted(images, terms, shape.outputs, shape.stride))


def _forward(shape: Shape, images: Array, kernel: Array):
    return _convolve(shape, images, kernel), (images, kernel)


def _backward(shape: Shape, kept: tuple[Array, Array], cotangent: Array):
    images, kernel, cotangent = (
        _groups_last(a, shape.groups) for a in (*kept, cotangent)
    )
    return (
        _groups_first(_images_gradient(shape, kernel, cotangent)),
        _groups_first(_kernel_gradient(shape, images, cotangent)),
    )


_convolve.defvjp(_forward, _backward)


def _images_gradient(shape: Shape, kernel: Array, cotangent: Array) -> Array:
    kernel = kernel.swapaxes(2, 3)
    lines = {}
    for row, rows in shape.phases(shape.rows, shape.height):
        pixels = {}
        for column, columns in shape.phases(shape.columns, shape.width):
            terms = {
                (-down, -right): kernel[i, j]
                for (i, down), (j, right) in product(rows, columns)
            }
            extent = (
                -(-(shape.height - row) // shape.stride),
                -(-(shape.width - column) // shape.stride),
            )
            pixels[column] = _sum_shifted(cotangent, terms, extent, 1)
        lines[row] = interleave(pixels, shape.stride, shape.width, axis=2)
    return interleave(lines, shape.stride, shape.height, axis=1)


def _kernel_gradient(shape: Shape, images: Array, cotangent: Array) -> Array:
    width = shape.outputs[1]
    images, reach = _window(
        images,
        (-shape.padding, -shape.padding),
        (shape.rows, shape.columns),
        shape.outputs,
        shape.stride,
    )

    def of_rows(i: int, j: int, first: int, images: Array, cotangent: Array) -> Array:
        seen = images[:, i : i + reach[0] : shape.stride]
        return sum(
            seen[:, :, x * shape.stride + j, :, None] * cotangent[:, :, x, None]
            for x in range(first, min(first + MOST_COLUMNS, width))
        )

    by_place = []
    for i, j in product(range(shape.rows), range(shape.columns)):
        parts = [
            apart(partial(of_rows, i, j, first), images, cotangent).sum((0, 1))
            for first in range(0, width, MOST_COLUMNS)
        ]
        by_place.append(sum(parts))
    stacked = jnp.stack(by_place)
    return stacked.reshape(shape.rows, shape.columns, *stacked.shape[1:])


def _sum_shifted(
    images: Array,
    terms: dict[tuple[int, int], Array],
    extent: tuple[int, int],
    stride: int,
) -> Array:
    """Adds up, for every term, what the images hold there times its weights.

    Args:
      images: [B, H, W, c, groups]; zero beyond their rim.
      terms: weights [c, f, groups] by row and column from where an output looks.
      extent: height and width of the output.
      stride: rows and columns of the images from one output to the next.

    Returns:
      [B, height, width, f, groups].
    """
    rows, columns = zip(*terms, strict=True)
    first = min(rows), min(columns)
    size = max(rows) - first[0] + 1, max(columns) - first[1] + 1
    images, reach = _window(images, first, size, extent, stride)

    def added(total: Array, images: Array, weights: Array) -> Array:
        for (row, column), weight in zip(terms, weights, strict=True):
            top, left = row - first[0], column - first[1]
            seen = images[:, top : top + reach[0] : stride]
            seen = seen[:, :, left : left + reach[1] : stride]
            for c in range(weight.shape[0]):
                total += seen[..., c, None, :] * weight[None, None, None, c]
        return total

    weights = jnp.stack(list(terms.values()))
    inputs, outputs, groups = weights.shape[1:]
    few = max(
        n for n in range(1, inputs + 1) if inputs % n == 0 and n * outputs <= MOST_PAIRS
    )
    # Some channels at a time, in front.
    some, their_weights = (
        jnp.moveaxis(a.reshape(*a.shape[:at], -1, few, *a.shape[at + 1 :]), at, 0)
        for a, at in ((images, 3), (weights, 1))
    )
    total = jnp.zeros((len(images), *extent, outputs, groups), images.dtype)
    return lax.scan(
        lambda total, more: (apart(added, total, *more), None),
        total,
        (some, their_weights),
    )[0]


def _window(
    images: Array,
    first: tuple[int, int],
    size: tuple[int, int],
    extent: tuple[int, int],
    stride: int,
) -> tuple[Array, tuple[int, int]]:
    """Cuts out what outputs see that each look at `size` pixels from `first` on.

    Returns:
      the images, filled up with zeros, and the rows and columns between the first and
      the last output, both included.
    """
    rows, columns = (stride * (length - 1) + 1 for length in extent)
    images = shifted(images, first[0], rows + size[0] - 1, axis=1)
    images = shifted(images, first[1], columns + size[1] - 1, axis=2)
    return images, (rows, columns)


def _groups_last(array: Array, groups: int) -> Array:
    """Moves groups behind what they are groups of: [.., C] to [.., C / groups, groups].

    A kernel [rows, columns, c, F] becomes [rows, columns, c, F / groups, groups].
    """
    return array.reshape(*array.shape[:-1], groups, -1).swapaxes(-1, -2)


def _groups_first(array: Array) -> Array:
    """Undoes `_groups_last`."""
    return array.swapaxes(-1, -2).reshape(*array.shape[:-2], -1)
