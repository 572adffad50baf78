"""The clock for a network's convolutions, each by itself, beside the whole network."""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from bmjax.benchmark.flops import count_flops
from bmjax.benchmark.layer_table import Layer, Profile
from bmjax.devices.hardware import make_matrix_product, matrix_speed
from bmjax.devices.mesh import make_mesh
from bmjax.models import make_network
from bmjax.models.conv.dispatch import convolve

_PEAK_SECONDS = 0.3  # of matrix products in each turn (ours)


def layers_of(network: str, size: int, batch: int) -> dict[Layer, int]:
    """List a network's convolutions in order, with how often each occurs.

    They are read from its trace, nothing being computed.

    Args:
        network: one of `bmjax.models.NETWORKS`.
        size: height and width of the images.
        batch: number of images.
    """
    init, features = _functions(network, lowering="xla", train=False)
    images = jax.ShapeDtypeStruct((batch, size, size, 3), "float32")
    arrays = jax.eval_shape(init, jax.random.key(0), images)
    jaxpr = jax.make_jaxpr(features)(*arrays, images)
    found: Counter[Layer] = Counter()
    for equation in jaxpr.eqns:
        if equation.primitive.name != "conv_general_dilated":
            continue
        image, kernel = (variable.aval.shape for variable in equation.invars)
        found[
            Layer(
                size=image[1],
                inputs=image[3],
                outputs=kernel[3],
                kernel=kernel[0],
                stride=equation.params["window_strides"][0],
                groups=equation.params["feature_group_count"],
                of_images=not found,
            )
        ] += 1
    return dict(found)


def layer_flops(layer: Layer, batch: int) -> int:
    """Useful operations of a layer forward, as `bmjax.benchmark.flops` counts them."""
    return count_flops(_convolution(layer, "xla"), *_shapes(layer, batch))


def measure_layers(network: str, *, size: int, batch: int, turns: int) -> Profile:
    """Time a network and its convolutions, in turns within one run.

    A layer by itself finds its arrays in the caches where they fit, and writes its
    result to memory; in the network XLA may join the last pass over it with the
    normalization that follows. So the parts do not add up to the whole exactly.

    Args:
        network: one of `bmjax.models.NETWORKS`.
        size: height and width of the images.
        batch: number of images.
        turns: of each kind; each job runs once before it is timed.
    """
    layers = layers_of(network, size, batch)
    jobs: dict[Any, Callable] = {}
    jobs["inference"], jobs["training"] = _whole(network, size, batch)
    for layer in layers:
        jobs["forward", layer], jobs["backward", layer] = _alone(layer, batch)
    product, operations = make_matrix_product(make_mesh(1), jnp.dtype("float32"))
    for job in jobs.values():
        jax.block_until_ready(job())
    seconds: dict[Any, list[float]] = {name: [] for name in jobs}
    peaks = []
    for _ in range(turns):
        peaks.append(matrix_speed(product, operations, seconds=_PEAK_SECONDS))
        for name, job in jobs.items():
            jax.block_until_ready(job())
            started = time.perf_counter()
            jax.block_until_ready(job())
            seconds[name].append(time.perf_counter() - started)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    peak = statistics.median(peaks)
    return Profile(
        layers=layers,
        flops={layer: layer_flops(layer, batch) for layer in layers},
        forward={layer: middle["forward", layer] for layer in layers},
        backward={layer: middle["backward", layer] for layer in layers},
        inference=middle["inference"],
        training=middle["training"],
        peak=peak,
        spread=(max(peaks) - min(peaks)) / peak,
    )


def _convolution(layer: Layer, lowering: str) -> Callable[..., Any]:
    def function(images, kernel):
        return convolve(
            images,
            kernel,
            stride=layer.stride,
            padding=layer.kernel // 2,
            groups=layer.groups,
            lowering=lowering,
        )

    return function


def _shapes(layer: Layer, batch: int) -> tuple[Any, Any]:
    return (
        jax.ShapeDtypeStruct((batch, layer.size, layer.size, layer.inputs), "float32"),
        jax.ShapeDtypeStruct(
            (layer.kernel, layer.kernel, layer.inputs // layer.groups, layer.outputs),
            "float32",
        ),
    )


def _alone(layer: Layer, batch: int) -> tuple[Callable, Callable]:
    """A layer forward, and its gradients alone."""
    convolution = _convolution(layer, "auto")
    images, kernel = (_noise(shape.shape) for shape in _shapes(layer, batch))
    cotangent = _noise(jax.eval_shape(convolution, images, kernel).shape)

    def gradients(images, kernel, cotangent):
        if layer.of_images:
            return jax.vjp(lambda k: convolution(images, k), kernel)[1](cotangent)
        return jax.vjp(convolution, images, kernel)[1](cotangent)

    forward, backward = jax.jit(convolution), jax.jit(gradients)
    return (
        lambda: forward(images, kernel),
        lambda: backward(images, kernel, cotangent),
    )


def _whole(name: str, size: int, batch: int) -> tuple[Callable, Callable]:
    """The network's inference, and its forward and backward pass in training."""
    init, infer = _functions(name, train=False)
    _, features = _functions(name, train=True)

    def objective(params, batch_stats, images):
        return jnp.mean(jnp.square(features(params, batch_stats, images)))

    images = _noise((batch, size, size, 3))
    arrays = *jax.jit(init)(jax.random.key(0), images), images
    inference, gradients = jax.jit(infer), jax.jit(jax.grad(objective))
    return lambda: inference(*arrays), lambda: gradients(*arrays)


def _functions(name: str, *, train: bool, lowering: str = "auto"):
    """A network's init, and its features as a function of what that gives."""
    network = make_network(name, convolutions=lowering)

    def features(params, batch_stats, images):
        return network.apply(params, batch_stats, images, train=train)[0]["features"]

    return network.init, features


def _noise(shape: tuple[int, ...]):
    return jax.random.normal(jax.random.key(0), shape)
