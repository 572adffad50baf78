"""3x3 convolution with stride 1 in fewer multiplications, for processors.

Winograd's F(2x2, 3x3), as Lavin and Gray (2016) apply it to networks: a tile of 2 x 2
outputs, which sees 4 x 4 pixels d, is made of 16 products instead of 36,

    outputs = A^T [(G kernel G^T) * (B^T d B)] A

so that a convolution is 16 matrix products over channels, one for each place in a tile.
The images' gradient is the same convolution of the cotangent with the kernel turned and
transposed. The kernel's gradient is the adjoint:

    kernel's = G^T [sum over tiles of (B^T d B) * (A cotangent A^T)] G

The matrices hold 0, 1, -1 and 1/2, so what is lost in rounding is some 1e-6.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bmjax.models.conv.windows import shifted
from bmjax.models.no_inline import apart

_B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
# Turning the kernel by half a turn exchanges the first and the last row of G kernel.
_TURNED = np.array([3, 1, 2, 0])


@jax.custom_vjp
def convolve_by_tiles(images: Array, kernel: Array) -> Array:
    """Convolves as `dispatch.convolve` does with stride 1 and padding 1.

    Args:
      images: float [B, H, W, C].
      kernel: float [3, 3, C, F].

    Returns:
      float [B, H, W, F].
    """
    return _convolve(images, _transformed(kernel))


def _forward(images: Array, kernel: Array):
    transformed = _transformed(kernel)
    return _convolve(images, transformed), (images, transformed)


def _backward(kept: tuple[Array, Array], cotangent: Array):
    images, transformed = kept
    turned = transformed[_TURNED][:, _TURNED].swapaxes(-1, -2)
    return _convolve(cotangent, turned), _kernel_gradient(images, cotangent)


convolve_by_tiles.defvjp(_forward, _backward)


def _convolve(images: Array, transformed: Array) -> Array:
    """Convolves with a kernel that is transformed already, [4, 4, C, F]."""
    _, height, width, _ = images.shape
    tiles = _tiles(images)
    products = jnp.einsum("ptc,pcf->ptf", _flat(tiles), _flat(transformed))
    products = products.reshape(*tiles.shape[:-1], -1)
    outputs = _mix(_A.T, list, products)
    outputs = _mix(_A.T, lambda a: [a[:, i] for i in range(4)], outputs)
    # [row, column, B, tiles down, tiles across, F], row and column within a tile.
    outputs = outputs.transpose(2, 3, 0, 4, 1, 5)
    batch, down, _, across, _, features = outputs.shape
    outputs = outputs.reshape(batch, 2 * down, 2 * across, features)
    return outputs[:, :height, :width]


def _transformed(kernel: Array) -> Array:
    """G kernel G^T: [3, 3, C, F] to [4, 4, C, F], columns before rows."""
    rows = _mix(_G, list, kernel)
    return _mix(_G, lambda a: [a[:, j] for j in range(3)], rows)


def _tiles(images: Array) -> Array:
    """B^T d B of all tiles: [4, 4, B, tiles down, tiles across, C], columns first."""
    down, across = (-(-length // 2) for length in images.shape[1:3])
    images = shifted(images, -1, 2 * down + 2, axis=1)
    images = shifted(images, -1, 2 * across + 2, axis=2)
    rows = _mix(
        _B.T, lambda a: [a[:, i : i + 2 * down - 1 : 2] for i in range(4)], images
    )
    return _mix(
        _B.T,
        lambda a: [a[:, :, :, j : j + 2 * across - 1 : 2] for j in range(4)],
        rows,
    )


def _kernel_gradient(images: Array, cotangent: Array) -> Array:
    tiles = _tiles(images)
    even = [length + length % 2 for length in images.shape[1:3]]
    cotangent = shifted(cotangent, 0, even[0], axis=1)
    cotangent = shifted(cotangent, 0, even[1], axis=2)
    rows = _mix(_A, lambda a: [a[:, i::2] for i in range(2)], cotangent)
    spread = _mix(_A, lambda a: [a[:, :, :, j::2] for j in range(2)], rows)
    products = jnp.einsum("ptc,ptf->pcf", _flat(tiles), _flat(spread))
    products = products.reshape(4, 4, *products.shape[1:])
    columns = _mix(_G.T, list, products)
    return _mix(_G.T, lambda a: [a[:, i] for i in range(4)], columns)


def _mix(
    matrix: np.ndarray, pieces: Callable[[Array], list[Array]], array: Array
) -> Array:
    """Multiplies a matrix [m, n] with n pieces of an array, as [m, ...].

    In a loop of its own: the pieces overlap, and would be computed anew for each.
    """

    def mixed(array: Array) -> Array:
        terms = []
        for column, piece in zip(matrix.T, pieces(array), strict=True):
            factors = jnp.asarray(column, array.dtype)
            terms.append(factors.reshape(-1, *[1] * piece.ndim) * piece[None])
        return sum(terms)

    return apart(mixed, array)


def _flat(array: Array) -> Array:
    """[4, 4, ..., C] as 16 matrices, [16, -1, C]."""
    return array.reshape(16, -1, array.shape[-1])
