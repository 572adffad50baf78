"""A convolution is the same function whichever way it is carried out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.models.conv import convolve
from bmjax.models.pool import max_pool

# (kernel size, stride, padding, groups, input channels, output channels): all kinds
# that the networks use, and some that they do not.
CASES = [
    (1, 1, 0, 1, 6, 10),
    (1, 2, 0, 1, 6, 10),
    (1, 1, 1, 1, 3, 4),
    (3, 1, 1, 1, 5, 7),
    (3, 2, 1, 1, 5, 7),
    (3, 1, 0, 2, 4, 6),
    (3, 1, 1, 32, 128, 128),
    (3, 2, 1, 4, 12, 8),
    (3, 2, 1, 3, 144, 144),
    (7, 2, 3, 1, 3, 8),
]


def value_and_pullback(function, arguments):
    """Returns the value and the gradients against a cotangent of uneven numbers."""

    @jax.jit
    def both(arguments):
        value, pullback = jax.vjp(function, *arguments)
        return value, pullback(jnp.cos(jnp.arange(value.size)).reshape(value.shape))

    return both(arguments)


def assert_agree(actual, expected, tolerance):
    """Compares arrays, errors measured against the largest expected value of each."""
    leaves = jax.tree.leaves(actual), jax.tree.leaves(expected)
    for one, other in zip(*leaves, strict=True):
        limit = tolerance * np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=limit)


@pytest.mark.parametrize("lowering", ["matmul", "auto"])
@pytest.mark.parametrize("case", CASES)
def test_lowerings_agree_in_value_and_gradients(case, lowering):
    size, stride, padding, groups, inputs, outputs = case
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 9, 8, inputs)).astype(np.float32)
    kernel = rng.normal(size=(size, size, inputs // groups, outputs))
    kernel = kernel.astype(np.float32)

    def run(lowering):
        def function(images, kernel):
            return convolve(
                images,
                kernel,
                stride=stride,
                padding=padding,
                groups=groups,
                lowering=lowering,
            )

        return value_and_pullback(function, (images, kernel))

    # float32 sums of up to 432 products in another order: some 1e-6 of the largest.
    assert_agree(run(lowering), run("xla"), 1e-5)


def test_convolution_by_hand():
    # Rows 1 2 3 / 4 5 6 / 7 8 9; the kernel takes the right neighbour minus the pixel.
    image = jnp.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(-1.0).at[1, 2].set(1.0)
    expected = [[1, 1, -3], [1, 1, -6], [1, 1, -9]]
    for lowering in ("xla", "matmul"):
        result = convolve(image, kernel, padding=1, lowering=lowering)
        np.testing.assert_array_equal(result[0, :, :, 0], expected)


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        convolve(jnp.zeros((1, 4, 4, 6)), jnp.zeros((1, 1, 6, 4)), groups=2)
    with pytest.raises(ValueError, match="lowering"):
        convolve(jnp.zeros((1, 4, 4, 6)), jnp.zeros((1, 1, 6, 4)), lowering="fft")


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 7, 10, 3), (1, 1, 5, 2)])
def test_max_pools_agree_in_value_and_gradient(shape):
    # Whole numbers from a small range: most windows hold a tie.
    images = np.random.default_rng(0).integers(-3, 3, shape).astype(np.float32)
    actual, expected = (
        value_and_pullback(lambda x, by=by: max_pool(x, lowering=by), (images,))
        for by in ("matmul", "xla")
    )
    # Values are copied, gradients sums of at most four numbers below 1.
    assert_agree(actual, expected, 1e-6)


def test_max_pool_passes_nan_on():
    images = jnp.zeros((1, 4, 4, 1)).at[0, 3, 3, 0].set(jnp.nan)
    pooled = max_pool(images, lowering="matmul")[0, :, :, 0]
    np.testing.assert_array_equal(pooled, [[0, 0], [0, jnp.nan]])
