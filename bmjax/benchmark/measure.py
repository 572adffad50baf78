"""The measurement of a configuration's step: what it is made of, and how fast it is."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from bmjax.benchmark.collectives import collectives
from bmjax.benchmark.operations import useful_flops
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.benchmark.turns import time_turns
from bmjax.devices.hardware import peak_memory
from bmjax.devices.jax_setup import noted_cache_hits, versions
from bmjax.run.build import Run
from bmjax.run.compile import compile_step
from bmjax.run.memory import check_fits, explained
from bmjax.run.train import starting_state


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
    state, _, _ = starting_state(run, scratch / "checkpoints")
    say(f"compiling the step of {config.method.name}, {config.model.name}")
    started = time.perf_counter()
    with noted_cache_hits() as hits:
        compiled = compile_step(run, state)
    compile_seconds = time.perf_counter() - started
    check_fits(run, state, compiled, say)
    operations = useful_flops(run)
    figures = _about(run) | {
        "compile_seconds": compile_seconds,
        "compiled_from_cache": bool(hits),
        "useful_flops": operations,
        **_of_program(run, compiled),
    }
    with explained(run, compiled):
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
    memory, holder = peak_memory(run.mesh)
    return figures | {"peak_memory_bytes": memory, "peak_memory_of": holder}


def _about(run: Run) -> dict[str, Any]:
    """What is measured, and on what."""
    config, device = run.config, run.mesh.devices.flat[0]
    known = versions()
    return {
        "method": config.method.name,
        "network": config.model.name,
        "convolutions": config.model.convolutions,
        "dtype": config.model.dtype,
        "remat": config.model.remat,
        "accumulate": config.train.accumulate,
        "batch_size": config.data.batch_size,
        "size": config.data.size,
        "views": [list(crops) for crops in _views(config)],
        "classes": len(run.catalog.classes),
        "devices": run.mesh.size,
        "platform": device.platform,
        "device_kind": device.device_kind,
        "versions": {name: known[name] for name in ("python", "jax", "jaxlib")},
    }


def _views(config: ConfigDict) -> list[tuple[int, int]]:
    """Number and size in pixels of each kind of view."""
    augment = config.augment
    pairs = [
        (augment.large, augment.large_size),
        (augment.small, augment.small_size),
    ]
    return [pair for pair in pairs if pair[0]]


def _of_program(run: Run, compiled: jax.stages.Compiled) -> dict[str, Any]:
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
