"""Several devices: the same step as on one, and the time of an all-reduce."""

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.benchmark.accelerator.configuration import part_config
from bmjax.benchmark.accelerator.numerics import relative_difference
from bmjax.benchmark.accelerator.outcome import NotRun, check_line
from bmjax.benchmark.spread import summarize
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.benchmark.turns import time_step
from bmjax.devices.mesh import batch_sharded, make_mesh, replicated
from bmjax.run.build import batch_shapes
from bmjax.run.compile import compile_step, init_state

_STEPS = 2
# Sums in another order; a step's update of all parameters, relative to the largest
# (ours: 2e-6 on four devices of a CPU).
_BOUND = 1e-4
# Bytes on each device: an array of batch norm's, and ResNet-50's gradients.
_ALL_REDUCES = {"small": (1024, 2**20), "paper": (8192, 95_600_000)}
_TURNS, _ROUNDS = 5, 20


def check_devices(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """SwAV's parameters after two steps on one device and on several."""
    devices = _several(task)
    overrides = {"data.batch_size": 16 * devices, "method.queue_length": 0}
    if task["scale"] == "paper":
        overrides["augment.large_size"] = 64
    options = {"config": "swav", "precision": "float32", "overrides": overrides}
    found = {}
    with jax.default_matmul_precision("float32"):
        for count in (1, devices):
            config = part_config(task | {"options": options, "devices": count})
            run = build_to_measure(config, scratch, with_images=False)
            shapes = batch_shapes(run.settings.data, run.mesh)
            state = init_state(run.learner, shapes, run.mesh)
            compiled = compile_step(run.learner, state, shapes, run.mesh)
            state, _ = time_step(run, compiled, state, steps=_STEPS)
            found[count] = jax.tree.leaves(jax.device_get(state.params))
    pairs = zip(found[devices], found[1], strict=True)
    apart = max(relative_difference(several, one) for several, one in pairs)
    name = f"parameters after {_STEPS} steps on {devices} devices and on one"
    return {"devices": devices, "checks": [check_line(name, apart, _BOUND)]}


def measure_collectives(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Seconds of an all-reduce of few and of many numbers, and the bytes a second."""
    del scratch
    devices = _several(task)
    mesh = make_mesh(devices)
    figures: dict[str, Any] = {"devices": devices}
    for name, size in zip(("small", "large"), _ALL_REDUCES[task["scale"]], strict=True):
        random = np.random.Generator(np.random.PCG64(0))
        numbers = random.normal(size=(devices, size // 4)).astype(np.float32)
        dealt = jax.device_put(numbers, batch_sharded(mesh))
        add = jax.jit(lambda each: jnp.sum(each, 0), out_shardings=replicated(mesh))
        seconds = []
        for _ in range(_TURNS + 1):
            jax.block_until_ready(add(dealt))
            begun = time.perf_counter()
            for _ in range(_ROUNDS):
                made = add(dealt)
            jax.block_until_ready(made)
            seconds.append((time.perf_counter() - begun) / _ROUNDS)
        figures |= summarize(f"{name}_seconds", seconds[1:])
        figures[f"{name}_bytes"] = size
        moved = 2 * (devices - 1) / devices * size
        figures[f"{name}_bytes_per_second"] = moved / figures[f"{name}_seconds"]
    return figures


def _several(task: dict[str, Any]) -> int:
    there = min(len(jax.devices()), task["devices"])
    if there < 2:
        raise NotRun("there is one device")
    return there
