"""A configuration's step: compiled cold and from the cache, its rate and its memory."""

import time
from pathlib import Path
from typing import Any

import jax

from bmjax.benchmark.accelerator.configuration import part_config
from bmjax.benchmark.measure import about_run, of_program
from bmjax.benchmark.operations import useful_flops
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.benchmark.turns import time_step, time_turns
from bmjax.devices.hardware import memory_left, peak_memory
from bmjax.devices.jax_setup import noted_cache_hits
from bmjax.run.build import BuiltRun, batch_shapes
from bmjax.run.compile import init_shapes, jit_step
from bmjax.run.memory import more_chunks, wanted_bytes
from bmjax.run.start import find_start

_TURN_SECONDS = 0.6  # of steps in a turn (ours)
_TURNS = {"small": 2, "paper": 5}
_MOST_STEPS = {"small": 2, "paper": 30}
_CELLS = {"small": 230, "paper": 2100}  # synthetic, for the loop


def measure_step(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Measure the train step of a configuration, and the loop where asked for."""
    scale, with_loop = task["scale"], task["options"].get("with_loop", False)
    config = part_config(task)
    if with_loop:
        config.data.synthetic_images = _CELLS[scale]
    run = build_to_measure(config, scratch, with_images=with_loop)
    begun = time.perf_counter()
    state = jax.block_until_ready(find_start(run, scratch / "checkpoints").state)
    figures: dict[str, Any] = {"init_seconds": time.perf_counter() - begun}
    compiled, chunks, compiling = _compile_that_fits(run)
    figures |= about_run(run) | compiling | {"accumulate": chunks}
    figures |= of_program(run, compiled) | {"program_bytes": wanted_bytes(compiled)}
    figures["compiled_peak_bytes"] = peak_memory(run.mesh)[0]
    state, _ = time_step(run, compiled, state, steps=1)
    state, seconds = time_step(run, compiled, state, steps=2)
    figures["peak_memory_bytes"], figures["peak_memory_of"] = peak_memory(run.mesh)
    figures["useful_flops"] = useful_flops(run)
    steps = round(_TURN_SECONDS / (seconds / 2))
    figures |= time_turns(
        run,
        compiled,
        state,
        operations=figures["useful_flops"],
        steps=min(max(steps, 2), _MOST_STEPS[scale]),
        turns=_TURNS[scale],
        with_loop=with_loop,
        say=print,
    )
    return figures | _cached(run, chunks)


def _compile_that_fits(run: BuiltRun):
    """The step in as few chunks as the memory has place for, and what it took."""
    shapes = batch_shapes(run.settings.data, run.mesh)
    state = init_shapes(run.learner, shapes)
    batch, first = run.settings.data.batch_size, run.learner.chunks
    left = memory_left(run.mesh)
    kept = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    possible = more_chunks(batch, run.mesh.size, first)
    for chunks in (first, *(n for n in possible if n & (n - 1) == 0)):
        begun = time.perf_counter()
        lowered = _lower(run, chunks)
        traced = time.perf_counter()
        compiled = lowered.compile()
        compiling = {
            "tracing_seconds": traced - begun,
            "compile_seconds": time.perf_counter() - traced,
        }
        if left is None or wanted_bytes(compiled) <= left.size + kept:
            break
    return compiled, chunks, compiling


def _lower(run: BuiltRun, chunks: int) -> jax.stages.Lowered:
    learner = run.learner._replace(chunks=chunks)
    shapes = batch_shapes(run.settings.data, run.mesh)
    state = init_shapes(learner, shapes)
    return jit_step(learner, run.mesh).lower(state, shapes)


def _cached(run: BuiltRun, chunks: int) -> dict[str, Any]:
    """What a second start takes: tracing again, and the program from the cache."""
    jax.clear_caches()
    begun = time.perf_counter()
    lowered = _lower(run, chunks)
    traced = time.perf_counter()
    with noted_cache_hits() as hits:
        lowered.compile()
    return {
        "cached_tracing_seconds": traced - begun,
        "cached_compile_seconds": time.perf_counter() - traced,
        "cached_from_cache": bool(hits),
    }
