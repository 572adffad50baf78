"""How far products and a whole step stray from float32 at each precision."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from bmjax.benchmark.accelerator.configuration import part_config
from bmjax.benchmark.accelerator.outcome import check_line
from bmjax.benchmark.spread import summarize
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.devices.hardware import make_matrix_product, matrix_speed
from bmjax.devices.mesh import make_mesh
from bmjax.models.conv.dispatch import convolve
from bmjax.run.build import batch_shapes
from bmjax.run.compile import init_state
from bmjax.types import Batch

_MODES = {  # a product's type, and jax's name of its precision
    "float32": ("float32", "float32"),
    "tensorfloat32": ("float32", "tensorfloat32"),
    "default": ("float32", None),
    "bfloat16": ("bfloat16", None),
}
# Largest error of a product of 1024 random terms, as a share of the largest result
# (ours): float32 has 24 bits, TF32 11 and bfloat16 8; rounding errors of random signs
# add up to a few units in the last place.
_BOUNDS = {
    "float32": 1e-5,
    "tensorfloat32": 2e-3,
    "default": 2e-3,
    "bfloat16": 2e-2,
}
_RATE_TURNS, _RATE_SECONDS = 3, 0.3
# How far a first step may stray from float32 (ours; docs/accelerators.md), relative:
# of a linear classifier on a frozen ResNet-50, loss, features and gradient, each as one
# vector; of SwAV the loss and the gradient's length. In training mode an untrained deep
# network magnifies rounding so much that its gradient's direction says nothing.
STEP_BOUNDS = {
    "linear": {
        "tensorfloat32": {"loss": 2e-3, "embeddings": 5e-3, "gradient": 1e-2},
        "bfloat16": {"loss": 1e-2, "embeddings": 2e-2, "gradient": 5e-2},
    },
    "swav": {
        "tensorfloat32": {"loss": 1e-2, "length": 0.1},
        "bfloat16": {"loss": 2e-2, "length": 0.1},
    },
}
_LABELS = {
    "loss": "loss",
    "embeddings": "features",
    "gradient": "gradient",
    "length": "gradient's length",
}
_PATCHES = 4  # a side of an image
_IMAGES = {"small": 16, "paper": 64}


def check_products(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Rates of a large matrix product, and errors of products and convolutions."""
    del task, scratch
    random = np.random.Generator(np.random.PCG64(0))
    left, right = random.normal(size=(2, 1024, 1024))
    images = random.normal(size=(4, 16, 16, 128))
    kernel = random.normal(size=(3, 3, 128, 64))
    exact = left @ right
    figures: dict[str, Any] = {"checks": []}
    with jax.default_matmul_precision("float32"):
        # By products of patches, which are exact to 1e-6, in the place of float64.
        by_patches = convolve(
            jnp.float32(images), jnp.float32(kernel), padding=1, lowering="matmul"
        )
    for name, (dtype, precision) in _MODES.items():
        with jax.default_matmul_precision(precision):
            product = jax.jit(jnp.matmul)(*_as(dtype, left, right))
            convolved = jax.jit(partial(convolve, padding=1, lowering="xla"))(
                *_as(dtype, images, kernel)
            )
            figures |= _rate(name, dtype)
        bound = _BOUNDS[name]
        figures["checks"] += [
            check_line(
                f"matrix product, {name}", relative_difference(product, exact), bound
            ),
            check_line(
                f"convolution, {name}",
                relative_difference(convolved, by_patches),
                bound,
            ),
        ]
    return figures


def _as(dtype: str, *arrays: np.ndarray) -> list[Array]:
    return [jnp.asarray(array, jnp.float32).astype(dtype) for array in arrays]


def _rate(name: str, dtype: str) -> dict[str, float]:
    product, operations = make_matrix_product(make_mesh(1), dtype)
    speeds = [
        matrix_speed(product, operations, seconds=_RATE_SECONDS)
        for _ in range(_RATE_TURNS)
    ]
    return summarize(f"{name}_flops_per_second", speeds)


def relative_difference(found: Any, expected: Any) -> float:
    """Largest difference, as a share of the largest value that is expected."""
    found, expected = (np.asarray(each, np.float64) for each in (found, expected))
    if not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-300))


def check_bfloat16(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """First steps at each precision, beside float32's."""
    images = _IMAGES[task["scale"]]
    figures: dict[str, Any] = {"checks": [], "images": images}
    for method, bounds in STEP_BOUNDS.items():
        found = {}
        for precision in ("float32", *bounds):
            overrides: dict[str, Any] = {"data.batch_size": images}
            if method == "swav":
                overrides["method.queue_length"] = 0
            options = {
                "config": method,
                "precision": precision,
                "overrides": overrides,
            }
            config = part_config(task | {"options": options})
            run = build_to_measure(config, scratch, with_images=False)
            begun = time.perf_counter()
            chosen = None if precision == "bfloat16" else precision
            with jax.default_matmul_precision(chosen):
                found[precision] = jax.device_get(_first_gradient(run))
            figures[f"{method}_{precision}_seconds"] = time.perf_counter() - begun
        for precision, limits in bounds.items():
            for name, bound in limits.items():
                strayed = _relative(found[precision][name], found["float32"][name])
                label = f"{method}, {_LABELS[name]}, {precision}"
                figures["checks"].append(check_line(label, strayed, bound))
    return figures


def _relative(found: Any, expected: Any) -> float:
    """Length of the difference over the length of what is expected, trees as one."""
    pairs = list(zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True))
    apart = sum(float(np.sum((np.float64(a) - b) ** 2)) for a, b in pairs)
    length = sum(float(np.sum(np.float64(b) ** 2)) for _, b in pairs)
    return (apart / length) ** 0.5


def patches_of_color(count: int, size: int) -> np.ndarray:
    """Images that differ in what is large: uint8 [count, size, size, 3].

    Images of noise are all alike to a network, and batch normalization magnifies what
    little tells them apart, rounding errors with it.
    """
    random = np.random.Generator(np.random.PCG64(0))
    colors = random.integers(0, 256, (count, _PATCHES, _PATCHES, 3), np.uint8)
    times = -(-size // _PATCHES)
    return colors.repeat(times, axis=1).repeat(times, axis=2)[:, :size, :size]


def _first_gradient(run: Any) -> dict[str, Any]:
    """Loss, embeddings and gradient of a first step on random pixels."""
    method, shapes = run.learner.method, batch_shapes(run.settings.data, run.mesh)
    with jax.default_matmul_precision("float32"):  # the same start for all
        state = init_state(run.learner, shapes, run.mesh)
    pixels = patches_of_color(*shapes.pixels.shape[:2])
    labels = np.arange(len(pixels), dtype=np.int32) % len(run.data.catalog.classes)
    key = jax.random.key(0)
    views = jax.jit(method.views)(key, Batch(jnp.asarray(pixels), jnp.asarray(labels)))

    @jax.jit
    def gradient(params: Any, views: Any) -> dict[str, Any]:
        def objective(params: Any):
            embeddings, _ = method.embed(
                key, params, state.batch_stats, state.method, views
            )
            value, _ = method.loss(
                params, embeddings, state.method, views, jnp.int32(0)
            )
            return value, embeddings

        (loss, embeddings), gradient = jax.value_and_grad(objective, has_aux=True)(
            params
        )
        return {
            "loss": loss,
            "embeddings": embeddings,
            "gradient": gradient,
            "length": optax.global_norm(gradient),
        }

    return gradient(state.params, views)
