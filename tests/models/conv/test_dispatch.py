"""A convolution is the same function whichever way it is carried out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.models.conv.dispatch import convolve
from bmjax.models.conv.winograd import convolve_by_tiles
from bmjax.models.pool import max_pool

# (kernel size, stride, padding, groups, input channels, output channels): all kinds
# that the networks use, and some that they do not.
CASES = [
    (2, 2, 0, 1, 9, 4),
    (5, 3, 2, 1, 8, 8),
    (1, 3, 0, 2, 8, 8),
    (1, 1, 0, 1, 6, 10),
    (1, 2, 0, 1, 6, 10),
    (1, 1, 1, 1, 3, 4),
    (3, 1, 1, 1, 5, 7),
    (3, 2, 1, 1, 5, 7),
    (3, 1, 0, 2, 4, 6),
    (3, 1, 1, 32, 128, 128),
    (3, 2, 1, 4, 12, 8),
    (3, 2, 1, 3, 144, 144),
    (3, 2, 1, 32, 256, 256),
    (3, 1, 1, 32, 512, 512),
    (5, 3, 2, 8, 24, 16),
    (1, 2, 0, 9, 9, 18),
    (3, 1, 0, 16, 16, 16),
    (7, 2, 3, 1, 3, 8),
]


def value_and_pullback(function, arguments):
    """Returns the value and the gradients against a cotangent of uneven numbers."""

    @jax.jit
    def both(arguments):
        value, pullback = jax.vjp(function, *arguments)
        uneven = jnp.cos(jnp.arange(value.size)).reshape(value.shape)
        return value, pullback(uneven.astype(value.dtype))

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


# Height and width of real images of cells and of odd ones, at strides that leave rows
# and columns over: (height, width), kernel size, stride, groups.
@pytest.mark.parametrize(
    ("pixels", "size", "stride", "groups"),
    [
        ((75, 90), 3, 2, 1),
        ((75, 90), 1, 2, 1),
        ((125, 3), 3, 2, 2),
        ((63, 10), 3, 1, 2),
        ((63, 10), 5, 3, 1),
        ((1, 2), 3, 2, 1),
        ((1, 1), 3, 1, 1),
        ((75, 90), 3, 2, 8),
        ((63, 10), 5, 3, 8),
        ((9, 67), 3, 1, 8),
        ((1, 2), 3, 2, 8),
        ((1, 1), 3, 1, 8),
    ],
)
def test_lowerings_agree_at_odd_sizes(pixels, size, stride, groups):
    rng = np.random.default_rng(1)
    images = rng.normal(size=(2, *pixels, 8)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 8 // groups, 8)).astype(np.float32)
    *actual, expected = (
        value_and_pullback(
            lambda images, kernel, by=by: convolve(
                images,
                kernel,
                stride=stride,
                padding=size // 2,
                groups=groups,
                lowering=by,
            ),
            (images, kernel),
        )
        for by in ("auto", "matmul", "xla")
    )
    # float32 sums of up to 8000 products in another order: some 1e-6 of the largest.
    for one in actual:
        assert_agree(one, expected, 1e-5)


@pytest.mark.parametrize("lowering", ["matmul", "auto"])
@pytest.mark.parametrize("groups", [2, 8])
def test_lowerings_work_in_every_precision_and_under_vmap(lowering, groups, float64):
    rng = np.random.default_rng(2)
    images = jnp.asarray(rng.normal(size=(3, 2, 7, 6, 16)))
    kernels = jnp.asarray(rng.normal(size=(3, 3, 3, 16 // groups, 8)))

    def run(lowering, dtype):
        convolution = jax.vmap(
            lambda x, k: convolve(
                x, k, stride=2, padding=1, groups=groups, lowering=lowering
            )
        )
        return value_and_pullback(
            convolution, (images.astype(dtype), kernels.astype(dtype))
        )

    expected = run("xla", jnp.float64)
    assert_agree(run(lowering, jnp.float64), expected, 1e-13)
    half = run(lowering, jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype(jnp.bfloat16)}
    # bfloat16 keeps 8 bits, of inputs and of outputs.
    as_float = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), half)
    assert_agree(as_float, expected, 0.03)


@pytest.mark.parametrize(
    ("groups", "channels", "pixels"), [(1, 8, 6), (4, 8, 6), (8, 8, 6), (1, 64, 8)]
)
def test_lowerings_keep_the_batch_dealt_out(groups, channels, pixels):
    # Each device convolves its own images; only the kernel's gradient is added up.
    from bmjax.devices import mesh

    over = mesh.make_mesh(4)
    rng = np.random.default_rng(3)
    images = rng.normal(size=(8, pixels, pixels, channels)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, channels // groups, channels)).astype(np.float32)

    def gradients(images, kernel):
        def value(images, kernel):
            outputs = convolve(
                images, kernel, padding=1, groups=groups, lowering="auto"
            )
            return jnp.sum(jnp.sin(outputs))

        return jax.grad(value, argnums=(0, 1))(images, kernel)

    alone = jax.jit(gradients)(images, kernel)
    dealt = mesh.batch_sharded(over)
    compiled = (
        jax.jit(
            gradients,
            in_shardings=(dealt, mesh.replicated(over)),
            out_shardings=(dealt, mesh.replicated(over)),
        )
        .lower(images, kernel)
        .compile()
    )
    text = compiled.as_text()
    for moved in ("all-gather", "all-to-all", "collective-permute"):
        assert moved not in text
    assert text.count(" all-reduce(") == 1
    together = compiled(
        jax.device_put(images, dealt), jax.device_put(kernel, mesh.replicated(over))
    )
    assert_agree(together, alone, 1e-5)


@pytest.mark.parametrize("pixels", [(1, 1), (2, 5), (7, 8), (14, 14)])
def test_tiles_agree_in_value_and_gradients(pixels, float64):
    rng = np.random.default_rng(4)
    images = rng.normal(size=(3, *pixels, 5))
    kernel = rng.normal(size=(3, 3, 5, 6))
    expected = value_and_pullback(
        lambda x, k: convolve(x, k, padding=1, lowering="xla"), (images, kernel)
    )
    actual = value_and_pullback(convolve_by_tiles, (images, kernel))
    assert_agree(actual, expected, 1e-13)
    single = images.astype(np.float32), kernel.astype(np.float32)
    assert_agree(value_and_pullback(convolve_by_tiles, single), expected, 1e-5)


def test_convolution_by_hand():
    # Rows 1 2 3 / 4 5 6 / 7 8 9; the kernel takes the right neighbor minus the pixel.
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
