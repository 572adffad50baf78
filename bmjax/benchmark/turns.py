"""The clock: a step, a matrix product and the loop, turn by turn within one run.

In turns, so that a machine that is busy for a while is so for all of them.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.benchmark.spread import summarize
from bmjax.data.pipeline import training_batches
from bmjax.devices.hardware import make_matrix_product, matrix_speed
from bmjax.devices.mesh import put_batch
from bmjax.run.build import BuiltRun
from bmjax.run.logs import short_duration
from bmjax.run.train import loop
from bmjax.training.step import TrainState
from bmjax.types import Batch

_PRODUCT_SECONDS = 0.5  # of the matrix product in each turn: many of them (ours)


def time_turns(
    run: BuiltRun,
    compiled: jax.stages.Compiled,
    state: TrainState,
    *,
    operations: int,
    steps: int,
    turns: int,
    with_loop: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Time steps, matrix products and, where asked for, the loop.

    Args:
        run: whose step it is.
        compiled: the step.
        state: to start from; it is given away.
        operations: useful ones in a step.
        steps: in each turn.
        turns: of each kind, after a step that is not counted.
        with_loop: time the loop too.
        say: for a line about how long it will take.

    Returns:
        rates and ratios, medians over the turns with their spread.
    """
    images = steps * run.settings.data.batch_size
    product, product_flops = make_matrix_product(
        run.mesh, jnp.dtype(run.settings.model.dtype)
    )
    bare, peaks, fractions, looped, ratios = [], [], [], [], []
    state, _ = time_step(run, compiled, state, steps=1)
    state, seconds = time_step(run, compiled, state, steps=1)
    whole = turns * (steps * seconds * (1 + with_loop) + _PRODUCT_SECONDS)
    say(f"{turns} turns of {steps} steps: about {short_duration(whole)}")
    for _ in range(turns):
        peaks.append(matrix_speed(product, product_flops, seconds=_PRODUCT_SECONDS))
        state, seconds = time_step(run, compiled, state, steps=steps)
        bare.append(images / seconds)
        fractions.append(steps * operations / seconds / peaks[-1])
        if with_loop:
            state, seconds = _time_loop(run, compiled, state, steps=steps)
            looped.append(images / seconds)
            ratios.append(looped[-1] / bare[-1])
    figures = summarize("images_per_second", bare)
    figures["step_seconds"] = (
        run.settings.data.batch_size / figures["images_per_second"]
    )
    figures["useful_flops_per_second"] = operations / figures["step_seconds"]
    figures |= summarize("matmul_flops_per_second", peaks)
    figures |= summarize("peak_fraction", fractions)
    if with_loop:
        figures |= summarize("loop_images_per_second", looped)
        figures |= summarize("loop_over_step", ratios)
    return figures


def time_step(run: BuiltRun, compiled, state: TrainState, *, steps: int):
    """Seconds of some steps on one batch that stays on the devices."""
    random = np.random.Generator(np.random.PCG64(0))
    size, count = run.settings.data.size, run.settings.data.batch_size
    pixels = random.integers(0, 256, (count, size, size, 3), np.uint8)
    labels = np.arange(count, dtype=np.int32) % len(run.data.catalog.classes)
    batch = put_batch(Batch(pixels, labels), run.mesh)
    jax.block_until_ready((state, batch))
    started = time.perf_counter()
    for _ in range(steps):
        state, metrics = compiled(state, batch)
    jax.block_until_ready((state, metrics))
    return state, time.perf_counter() - started


def _time_loop(run: BuiltRun, compiled, state: TrainState, *, steps: int):
    """Seconds of some steps of the loop on data, its pipeline warm."""
    batches = training_batches(
        run.data.catalog,
        run.data.stream,
        size=run.settings.data.size,
        resize=run.settings.data.resize,
        batch_size=run.settings.data.batch_size,
        first_step=0,
        threads=run.settings.data.threads,
        prefetch=run.settings.data.prefetch,
        workers=run.settings.data.workers,
    )
    marks: list[float] = []
    warm = run.settings.data.prefetch + 1

    def after_step() -> None:
        marks.append(time.perf_counter())

    state = loop(
        compiled,
        state,
        batches,
        mesh=run.mesh,
        first=0,
        total=warm + steps,
        save_every=2**62,
        log_every=run.length.log_every,
        save=lambda step, state: jax.block_until_ready(state),
        log=lambda step, values: None,
        after_step=after_step,
    )
    # Marks are set one step apart whatever holds the loop up, the devices or the data.
    return state, marks[-1] - marks[warm - 1]
