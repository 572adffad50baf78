"""The measurement: the same compiled step, bare and inside the loop, in turns."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from bmjax.benchmark.summary import summarize
from bmjax.build import Run, build
from bmjax.check import check
from bmjax.data.pipeline import training_batches
from bmjax.mesh import put_batch
from bmjax.step import TrainState
from bmjax.train import compile_step, loop, starting_state
from bmjax.types import Batch

_STAND_IN = 210  # synthetic cells, the least there can be, where no data are given


def measure(
    config: ConfigDict, scratch: Path, *, steps: int, turns: int, with_loop: bool
) -> dict[str, Any]:
    """Time a configuration's step, and the loop around it where asked for.

    Args:
        config: of the run; without data, a few synthetic cells are made.
        scratch: a folder that may be filled.
        steps: in each turn.
        turns: of each kind, alternating, after one that is not counted.
        with_loop: measure the loop too.

    Returns:
        names and figures; images/s are medians over turns, the spread is
        (largest - smallest) / median.
    """
    if not config.data.root:
        config.data.synthetic_images = config.data.synthetic_images or _STAND_IN
    check(config)
    run = build(config, scratch)
    state, _, _ = starting_state(run, scratch / "checkpoints")
    started = time.perf_counter()
    compiled = compile_step(run, state)
    figures: dict[str, Any] = {
        "method": config.method.name,
        "network": config.model.name,
        "batch_size": config.data.batch_size,
        "size": config.data.size,
        "devices": run.mesh.size,
        "compile_seconds": time.perf_counter() - started,
    }
    bare, looped, ratios = [], [], []
    state, _ = _time_step(run, compiled, state, steps=1)
    for _ in range(turns):
        state, seconds = _time_step(run, compiled, state, steps=steps)
        bare.append(steps * config.data.batch_size / seconds)
        if with_loop:
            state, seconds = _time_loop(run, compiled, state, steps=steps)
            looped.append(steps * config.data.batch_size / seconds)
            ratios.append(looped[-1] / bare[-1])
    figures |= summarize("images_per_second", bare)
    if with_loop:
        figures |= summarize("loop_images_per_second", looped)
        figures |= summarize("loop_over_step", ratios)
    if memory := compiled.memory_analysis():
        figures["temporary_bytes"] = memory.temp_size_in_bytes
        figures["argument_bytes"] = memory.argument_size_in_bytes
    return figures


def _time_step(run: Run, compiled, state: TrainState, *, steps: int):
    """Seconds of some steps on one batch that stays on the devices."""
    random = np.random.Generator(np.random.PCG64(0))
    size, count = run.config.data.size, run.config.data.batch_size
    pixels = random.integers(0, 256, (count, size, size, 3), np.uint8)
    batch = put_batch(Batch(pixels, np.zeros(count, np.int32)), run.mesh)
    jax.block_until_ready((state, batch))
    started = time.perf_counter()
    for _ in range(steps):
        state, metrics = compiled(state, batch)
    jax.block_until_ready((state, metrics))
    return state, time.perf_counter() - started


def _time_loop(run: Run, compiled, state: TrainState, *, steps: int):
    """Seconds of some steps of the loop on data, its pipeline warm."""
    batches = training_batches(
        run.catalog,
        run.stream,
        size=run.config.data.size,
        batch_size=run.config.data.batch_size,
        first_step=0,
        threads=run.config.data.threads,
        prefetch=run.config.data.prefetch,
    )
    marks: list[float] = []
    warm = run.config.data.prefetch + 1

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
        log_every=run.log_every,
        save=lambda step, state: jax.block_until_ready(state),
        log=lambda step, values: None,
        after_step=after_step,
    )
    # Marks are set one step apart whatever holds the loop up, the devices or the data.
    return state, marks[-1] - marks[warm - 1]
