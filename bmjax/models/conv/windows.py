"""Where the window of a convolution's kernel meets its input."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax


class Shape(NamedTuple):
    """What a convolution is, whatever its values; hashable."""

    stride: int
    padding: int
    groups: int
    rows: int  # of the kernel
    columns: int  # of the kernel
    height: int  # of the images
    width: int  # of the images

    @property
    def outputs(self) -> tuple[int, int]:
        """Height and width of the output."""
        return (
            (self.height + 2 * self.padding - self.rows) // self.stride + 1,
            (self.width + 2 * self.padding - self.columns) // self.stride + 1,
        )

    def phases(self, size: int, length: int) -> list[tuple[int, list[tuple[int, int]]]]:
        """For each phase of input columns: which kernel columns meet it, and where.

        Kernel column j meets input column x s + phase at output x - shift. The same
        holds for rows.

        Args:
          size: columns of the kernel.
          length: columns of the input.
        """
        met = [divmod(j - self.padding, self.stride) for j in range(size)]
        found = []
        for phase in range(min(self.stride, length)):
            columns = [(j, s) for j, (s, at) in enumerate(met) if at == phase]
            if columns:
                found.append((phase, columns))
        return found


def shifted(images: Array, shift: int, length: int, axis: int) -> Array:
    """Element i of the result is element i + shift, or zero where there is none."""
    widths = [(0, 0, 0)] * images.ndim
    widths[axis] = (-shift, length + shift - images.shape[axis], 0)
    return lax.pad(images, jnp.zeros([], images.dtype), widths)


def interleave(parts: dict[int, Array], stride: int, length: int, axis: int) -> Array:
    """Element i * stride + at of the result is element i of part `at`, zero if none."""
    if stride == 1:
        return parts[0]
    each = -(-length // stride)
    some = shifted(next(iter(parts.values())), 0, each, axis)
    stacked = jnp.stack(
        [
            shifted(parts[at], 0, each, axis) if at in parts else jnp.zeros_like(some)
            for at in range(stride)
        ],
        axis=axis + 1,
    )
    whole = stacked.reshape(*some.shape[:axis], -1, *some.shape[axis + 1 :])
    return lax.slice_in_dim(whole, 0, length, axis=axis)
