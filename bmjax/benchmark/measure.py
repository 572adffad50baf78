"""The measurement of a configuration's step: what it is made of, and how fast it is."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from bmjax.benchmark.collectives import collectives
from bmjax.benchmark.operations import useful_flops
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.benchmark.turns import time_turns
from bmjax.devices.hardware import peak_memory, processor
from bmjax.devices.jax_setup import noted_cache_hits, versions
from bmjax.run.build import BuiltRun, batch_shapes
from bmjax.run.compile import compile_step
from bmjax.run.memory import check_fits, explained, more_chunks
from bmjax.run.run_settings import AugmentSettings
from bmjax.run.start import find_start


def measure(
    config: ConfigDict,
    scratch: Path,
    *,
    steps: int,
    turns: int,
    with_loop: bool,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time a configuration's step, and the loop around it where asked for.

    Args:
        config: of the run. Where it names no data, the release's classes and counts
            stand in; the loop needs images, and a few synthetic cells are made.
        scratch: a folder that may be filled.
        steps: in each turn.
        turns: of each kind, alternating, after a step that is not counted.
        with_loop: measure the loop too.
        say: for a line about what goes on.

    Returns:
        names and figures, as `figures.FIGURES` explains them.

    Raises:
        ConfigError: what cannot be, or a batch that memory has no place for.
    """
    run = build_to_measure(config, scratch, with_images=with_loop)
    state = find_start(run, scratch / "checkpoints").state
    settings, learner, mesh = run.settings, run.learner, run.mesh
    shapes = batch_shapes(settings.data, mesh)
    say(f"compiling the step of {settings.method_name}, {settings.model.name}")
    started = time.perf_counter()
    with noted_cache_hits() as hits:
        compiled = compile_step(learner, state, shapes, mesh)
    compile_seconds = time.perf_counter() - started
    check_fits(learner, state, shapes, mesh, compiled, say)
    operations = useful_flops(run)
    figures = about_run(run) | {
        "compile_seconds": compile_seconds,
        "compiled_from_cache": bool(hits),
        "useful_flops": operations,
        **of_program(run, compiled),
    }
    batch = settings.data.batch_size
    with explained(compiled, batch, more_chunks(batch, mesh.size, learner.chunks)):
        figures |= time_turns(
            run,
            compiled,
            state,
            operations=operations,
            steps=steps,
            turns=turns,
            with_loop=with_loop,
            say=say,
        )
    memory, holder = peak_memory(mesh)
    return figures | {"peak_memory_bytes": memory, "peak_memory_of": holder}


def about_run(run: BuiltRun) -> dict[str, Any]:
    """What is measured, and on what."""
    settings = run.settings
    return {
        "method": settings.method_name,
        "network": settings.model.name,
        "convolutions": settings.model.convolutions,
        "dtype": settings.model.dtype,
        "remat": settings.model.remat,
        "accumulate": settings.train.accumulate,
        "batch_size": settings.data.batch_size,
        "size": settings.data.size,
        "views": [list(crops) for crops in _views(settings.augment)],
        "classes": len(run.data.catalog.classes),
        "devices": run.mesh.size,
        **about_machine(run.mesh),
    }


def about_machine(mesh: Mesh) -> dict[str, Any]:
    """What measures: devices, processor and versions."""
    device, known = mesh.devices.flat[0], versions()
    return {
        "platform": device.platform,
        "device_kind": device.device_kind,
        "processor": processor(),
        "versions": {name: known[name] for name in ("python", "jax", "jaxlib")},
    }


def _views(augment: AugmentSettings) -> list[tuple[int, int]]:
    """Number and size in pixels of each kind of view."""
    pairs = [
        (augment.large, augment.large_size),
        (augment.small, augment.small_size),
    ]
    return [pair for pair in pairs if pair[0]]


def of_program(run: BuiltRun, compiled: jax.stages.Compiled) -> dict[str, Any]:
    """What the compiled step says of itself."""
    figures: dict[str, Any] = {}
    if flops := (compiled.cost_analysis() or {}).get("flops"):
        figures["xla_flops"] = flops * run.mesh.size
    if memory := compiled.memory_analysis():
        figures["temporary_bytes"] = memory.temp_size_in_bytes
        figures["argument_bytes"] = memory.argument_size_in_bytes
        figures["donated_bytes"] = memory.alias_size_in_bytes
    if text := compiled.as_text():
        found = collectives(text)
        figures["collectives"] = {kind: c._asdict() for kind, c in found.items()}
    return figures
