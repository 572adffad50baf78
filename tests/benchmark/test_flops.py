"""Operations counted from shapes: against the literature, and against XLA's count."""

import jax
import jax.numpy as jnp
import pytest

from bmjax.benchmark.flops import count_flops
from bmjax.models import make_network
from bmjax.models.conv.dispatch import convolve


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def forward(name, size, batch=1):
    """A network's logits as a function of arrays, and the arrays' shapes."""
    network = make_network(name, num_classes=1000, convolutions="xla")
    images = shape(batch, size, size, 3)
    params, stats = jax.eval_shape(network.init, jax.random.key(0), images)
    logits = lambda *args: network.apply(*args, train=False)[0]["logits"]
    return logits, (params, stats, images)


# Multiply-adds an image at 224 pixels, in thousand millions, as torchvision has them.
@pytest.mark.parametrize(
    ("name", "expected"),
    [("resnet18", 1.814), ("resnet50", 4.089), ("resnext50_32x4d", 4.230)],
)
def test_networks_have_the_multiply_adds_of_the_literature(name, expected):
    logits, arrays = forward(name, 224, batch=3)
    assert count_flops(logits, *arrays) / 2 / 3 / 1e9 == pytest.approx(
        expected, abs=5e-4
    )


def test_xla_counts_a_whole_network_alike_but_for_padding_and_the_rest():
    logits, arrays = forward("resnet50", 224)
    by_xla = jax.jit(logits).lower(*arrays).cost_analysis()["flops"]
    # XLA leaves out taps on the padding, and counts normalization too.
    assert by_xla == pytest.approx(count_flops(logits, *arrays), rel=0.05)


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (2, 4)])
def test_a_convolution_counts_as_xla_has_it_and_thrice_with_its_gradients(
    stride, groups
):
    images, kernel = shape(2, 9, 9, 8), shape(3, 3, 8 // groups, 16)

    def total(images, kernel):
        return convolve(
            images, kernel, stride=stride, groups=groups, lowering="xla"
        ).sum()

    once = count_flops(total, images, kernel)
    outputs = 2 * ((9 - 3) // stride + 1) ** 2 * 16
    assert once == 2 * outputs * 9 * 8 // groups
    by_xla = jax.jit(total).lower(images, kernel).cost_analysis()["flops"]
    assert once == by_xla - (outputs - 1)  # and the sum
    # The kernel's gradient, and the images' gradient over all of them: where the
    # stride leaves pixels out, those of no use are a part of the last.
    kernels = count_flops(jax.grad(total, argnums=1), images, kernel)
    assert kernels == 2 * once
    both = count_flops(jax.grad(total, argnums=(0, 1)), images, kernel)
    assert both == pytest.approx(3 * once, rel=0.7)
    assert both > kernels


def test_loops_count_as_often_as_they_turn_and_of_branches_the_largest():
    square = shape(8, 8)
    once = count_flops(lambda a: a @ a, square)
    assert once == 2 * 8**3
    turned = lambda a: jax.lax.scan(lambda b, _: (b @ a, None), a, length=5)[0]
    assert count_flops(turned, square) == 5 * once
    either = lambda a: jax.lax.cond(a[0, 0] > 0, lambda: a @ a @ a, lambda: a)
    assert count_flops(jax.jit(either), square) == 2 * once
