"""What saving costs: the loop with one save beside the loop without, in turns."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from bmjax.benchmark.measure import about_run
from bmjax.benchmark.spread import summarize
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.run.build import BuiltRun, batch_shapes
from bmjax.run.compile import compile_step, init_state
from bmjax.run.train import loop
from bmjax.training import checkpoint
from bmjax.training.step import TrainState

_Save = Callable[[int, TrainState], None]


def measure_saving(
    config: ConfigDict,
    scratch: Path,
    *,
    steps: int,
    turns: int,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time the training loop with a save at its end, and without one.

    Its batches are noise that lies ready, so that no decoding hides what a save takes.

    Args:
        config: of the run. Where it names no data, the release's classes and counts
            stand in.
        scratch: a folder that may be filled; the checkpoints lie there.
        steps: of each loop.
        turns: of each kind, alternating, after one of each that is not counted.
        say: for a line about what goes on.

    Returns:
        names and figures, as `records.FIGURES` explains them.
    """
    run = build_to_measure(config, scratch, with_images=False)
    shapes = batch_shapes(run.settings.data, run.mesh)
    state = init_state(run.learner, shapes, run.mesh)
    say(f"compiling the step of {run.settings.method_name}, {run.settings.model.name}")
    compiled = compile_step(run.learner, state, shapes, run.mesh)
    folder = scratch / "checkpoints"
    plain, saved, verified = [], [], []
    for turn in range(1, turns + 2):

        def save(step: int, state: TrainState, number: int = turn) -> None:
            del step  # the same in every turn
            jax.block_until_ready(state)
            checkpoint.save(folder, number, state, meta={})

        state, seconds = _time_loop(run, compiled, state, _wait, steps=steps)
        plain.append(seconds)
        state, seconds = _time_loop(run, compiled, state, save, steps=steps)
        saved.append(seconds)
        started = time.perf_counter()
        checkpoint.check_whole(folder, turn, "")
        verified.append(time.perf_counter() - started)
    images = steps * run.settings.data.batch_size
    plain, saved, verified = plain[1:], saved[1:], verified[1:]
    both = list(zip(plain, saved, strict=True))
    epoch = run.length.steps_per_epoch / steps
    return {
        **about_run(run),
        **summarize("loop_images_per_second", [images / s for s in plain]),
        **summarize("save_seconds", [with_save - s for s, with_save in both]),
        **summarize("saving_over_loop", [s / with_save for s, with_save in both]),
        **summarize(
            "epoch_saving_over_loop",
            [epoch * s / (epoch * s + with_save - s) for s, with_save in both],
        ),
        "steps_per_epoch": run.length.steps_per_epoch,
        "checkpoint_bytes": _bytes_below(folder / str(turns + 1)),
        **summarize("verify_seconds", verified),
    }


def _wait(step: int, state: TrainState) -> None:
    """A save that only waits for the state."""
    del step
    jax.block_until_ready(state)


def _time_loop(
    run: BuiltRun, compiled, state: TrainState, save: _Save, *, steps: int
) -> tuple[TrainState, float]:
    """Seconds of some steps of the loop, up to the end of its last save."""
    started = time.perf_counter()
    state = loop(
        compiled,
        state,
        _noise(run),
        mesh=run.mesh,
        first=0,
        total=steps,
        save_every=2**62,
        log_every=run.length.log_every,
        save=save,
        log=lambda step, values: None,
    )
    return state, time.perf_counter() - started


def _noise(run: BuiltRun) -> Iterator[dict[str, np.ndarray]]:
    random = np.random.Generator(np.random.PCG64(0))
    size, count = run.settings.data.size, run.settings.data.batch_size
    pixels = random.integers(0, 256, (count, size, size, 3), np.uint8)
    labels = np.arange(count, dtype=np.int32) % len(run.data.catalog.classes)
    return itertools.repeat({"pixels": pixels, "labels": labels})


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
