"""Grouped convolutions and max pooling, carried out in each way that there is.

XLA's grouped convolution was slow on GPUs, its gradients above all
(github.com/jax-ml/jax/issues/13800); ours as matrix products were made for CPUs, and
the sums over narrow groups run there alone (on an H100 they took 41 to 250 times as
long as XLA's).
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from bmjax.benchmark.spread import summarize
from bmjax.models.conv.dispatch import convolve
from bmjax.models.conv.grouped import convolve_narrow_groups
from bmjax.models.pool import max_pool

# ResNeXt-50's 3x3 convolutions at 224 pixels: side, channels; 32 groups.
_SHAPES = {
    "small": ((8, 64),),
    "paper": ((56, 128), (28, 256), (14, 512), (7, 1024)),
}
_POOLED = {"small": (16, 64), "paper": (112, 64)}
_IMAGES = {"small": 2, "paper": 128}
_GROUPS, _TURNS = 32, 5
_TURN_SECONDS = 0.1


def measure_lowerings(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Seconds of a forward and backward pass in each lowering and type."""
    del scratch
    scale, rows = task["scale"], []
    for dtype in ("bfloat16", "float32"):
        for side, channels in _SHAPES[scale]:
            images = _random((_IMAGES[scale], side, side, channels), dtype)
            for groups in (_GROUPS, 1):
                kernel = _random((3, 3, channels // groups, channels), dtype)
                about = {
                    "operation": "convolution",
                    "side": side,
                    "channels": channels,
                    "groups": groups,
                    "dtype": dtype,
                }
                for name, function in _ways(groups).items():
                    rows.append(about | {"way": name} | _time(function, images, kernel))
        side, channels = _POOLED[scale]
        images = _random((_IMAGES[scale], side, side, channels), dtype)
        about = {"operation": "max pooling", "side": side, "channels": channels}
        for name in ("xla", "matmul"):
            pool = partial(max_pool, lowering=name)
            row = about | {"groups": 1, "dtype": dtype, "way": name}
            rows.append(row | _time(pool, images))
    return {"images": _IMAGES[scale], "rows": rows}


def _ways(groups: int) -> dict[str, Callable[..., Array]]:
    ways = {
        name: partial(convolve, padding=1, groups=groups, lowering=name)
        for name in ("xla", "matmul")
    }
    if groups == 1:
        del ways["matmul"]
    elif jax.default_backend() == "cpu":
        ways["narrow groups"] = lambda images, kernel: convolve_narrow_groups(
            images, kernel, 1, 1, groups
        )
    return ways


def _random(shape: tuple[int, ...], dtype: str) -> Array:
    random = np.random.Generator(np.random.PCG64(0))
    numbers = random.standard_normal(shape, np.float32)
    return jnp.asarray(numbers / shape[-1] ** 0.5).astype(dtype)


def _time(function: Callable[..., Array], *arrays: Array) -> dict[str, Any]:
    """Seconds of a value with its gradients; a sentence where it does not run."""

    @jax.jit
    def both(*arrays: Array) -> Any:
        made, back = jax.vjp(function, *arrays)
        return made, back(made)

    try:
        jax.block_until_ready(both(*arrays))
        begun = time.perf_counter()
        jax.block_until_ready(both(*arrays))
        once = max(time.perf_counter() - begun, 1e-6)
        rounds = max(1, min(200, round(_TURN_SECONDS / once)))
        turns = []
        for _ in range(_TURNS):
            begun = time.perf_counter()
            for _ in range(rounds):
                made = both(*arrays)
            jax.block_until_ready(made)
            turns.append((time.perf_counter() - begun) / rounds)
    except jax.errors.JaxRuntimeError as error:
        return {"failed": str(error).splitlines()[0][:200]}
    return summarize("seconds", turns)
