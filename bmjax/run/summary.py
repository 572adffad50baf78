"""What a run is about to do, before it does it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bmjax.data.splits.make_split import counts
from bmjax.devices.hardware import make_matrix_product, matrix_speed
from bmjax.run.build import Run
from bmjax.run.compile import init_shapes
from bmjax.run.config_warnings import advice
from bmjax.run.logs import data_size, duration
from bmjax.run.memory import wanted_bytes
from bmjax.training.optimizer import count_parameters

# Share of the measured matrix-product speed that a whole step reaches (ours: 0.3 to 0.7
# on CPUs; the progress bar has the true figure a minute later).
_EFFICIENCY = 0.4


def describe_run(run: Run, say: Callable[[str], None]) -> None:
    """Say what will be trained on what: images a class, steps, parameters, devices."""
    config = run.config
    train, test = (counts(run.catalog, part) for part in run.split)
    shapes = init_shapes(run)
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
    run: Run,
    compiled: jax.stages.Compiled,
    seconds: float,
    say: Callable[[str], None],
    *,
    cached: bool = False,
) -> None:
    """Say what the compiled step needs: memory, and hours by a rough measure."""
    cost = compiled.cost_analysis() or {}
    line = f"{'taken from the cache' if cached else 'compiled'} in {duration(seconds)}"
    if size := wanted_bytes(compiled):
        line += f"; {data_size(size)} on each device"
    if flops := cost.get("flops"):
        product, operations = make_matrix_product(run.mesh, jnp.float32)
        speed = matrix_speed(product, operations, seconds=0.2) / run.mesh.size
        estimate = flops / (_EFFICIENCY * speed) * run.steps
        line += f"; {duration(max(estimate, 1.0))} or more in all, by a rough measure"
    say(line)
