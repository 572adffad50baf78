"""What a run is about to do, before it does it."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from bmjax.advice import advice
from bmjax.build import Run, example_batch
from bmjax.data.folds import counts
from bmjax.logs import duration
from bmjax.optim import count_parameters
from bmjax.step import make_init
from bmjax.types import Batch

# Share of the measured matrix-product speed that a whole step reaches (ours: 0.3 to 0.7
# on CPUs; the progress bar has the true figure a minute later).
_EFFICIENCY = 0.4


def describe_run(run: Run, say: Callable[[str], None]) -> None:
    """Say what will be trained on what: images a class, steps, parameters, devices."""
    config = run.config
    train, test = (counts(run.catalog, part) for part in run.split)
    shapes = jax.eval_shape(
        make_init(run.method, run.optimizer, seed=config.seed),
        Batch(**example_batch(run)),
    )
    epochs = run.steps / run.steps_per_epoch
    device = run.mesh.devices.flat[0]
    say(
        f"{config.method.name}, {config.model.name}: "
        f"{count_parameters(shapes.params):,} parameters"
    )
    say(
        f"images: {run.catalog.root} ({config.data.split} {config.data.fold}, digest "
        f"{run.split_digest[:12]}): "
        f"{len(run.split.train):,} train, {len(run.split.test):,} test, "
        f"{len(run.catalog.classes)} classes"
    )
    if config.data.pretrain_on == "all":
        say("pretraining sees all of them, test images too, without labels")
    width = max(map(len, run.catalog.classes))
    for name in run.catalog.classes:
        note = "  (no test image)" if not test[name] else ""
        say(f"  {name:{width}s} {train[name]:7,d} {test[name]:7,d}{note}")
    say(
        f"steps: {run.steps:,} of {config.data.batch_size} images = {epochs:.1f} "
        f"epochs of {run.steps_per_epoch:,}; checkpoint every {run.save_every:,}"
    )
    say(f"devices: {run.mesh.size} x {device.device_kind} ({device.platform})")
    for note in advice(run):
        say(f"note: {note}")


def describe_program(
    run: Run, compiled: jax.stages.Compiled, seconds: float, say: Callable[[str], None]
) -> None:
    """Say what the compiled step needs: memory, and hours by a rough measure."""
    memory = compiled.memory_analysis()
    cost = compiled.cost_analysis() or {}
    line = f"compiled in {duration(seconds)}"
    if memory is not None:
        size = memory.temp_size_in_bytes + memory.argument_size_in_bytes
        line += f"; {size / 1e9:.2f} GB on each device"
    if flops := cost.get("flops"):
        estimate = flops / (_EFFICIENCY * _matrix_speed()) * run.steps
        line += f"; {duration(max(estimate, 1.0))} or more in all, by a rough measure"
    say(line)


def _matrix_speed() -> float:
    """Floating-point operations a second of one device in a large matrix product."""
    size = 1024
    matrix = jnp.ones((size, size))
    product = jax.jit(lambda a: a @ a)
    product(matrix).block_until_ready()
    started = time.monotonic()
    rounds = 5
    for _ in range(rounds):
        product(matrix).block_until_ready()
    return rounds * 2 * size**3 / (time.monotonic() - started)
