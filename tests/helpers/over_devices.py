"""The losses of a method's first steps on one device and on four."""

import jax
import numpy as np

from bmjax.devices import mesh
from bmjax.training.optimizer import make_optimizer
from bmjax.training.step import make_init, make_train_step
from bmjax.types import Batch

STEPS = 3


def losses_over_devices(method, *, classes: int) -> list[list[float]]:
    """Of a toy batch: first on one device, then dealt out over four."""
    optimizer = make_optimizer(lambda step: 0.05, momentum=0.9, weight_decay=1e-4)
    random = np.random.Generator(np.random.PCG64(1))
    batch = Batch(
        pixels=random.integers(0, 256, (8, 16, 16, 3), np.uint8),
        labels=random.integers(0, classes, 8).astype(np.int32),
    )
    losses = []
    for devices in (1, 4):
        over = mesh.make_mesh(devices)
        placed = mesh.put_batch(batch, over)
        state = jax.jit(
            make_init(method, optimizer, seed=0), out_shardings=mesh.replicated(over)
        )(placed)
        step = jax.jit(make_train_step(method, optimizer, seed=0))
        found = []
        for _ in range(STEPS):
            state, metrics = step(state, placed)
            found.append(float(metrics["loss"]))
        losses.append(found)
    return losses
