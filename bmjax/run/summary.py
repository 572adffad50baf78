"""Print a run's summary before it starts: data, parameters, steps, devices, time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from bmjax.data.splits.make_split import counts
from bmjax.devices.hardware import make_matrix_product, matrix_speed
from bmjax.devices.mesh import own_mesh
from bmjax.devices.processes import processes
from bmjax.run.build import BuiltRun, batch_shapes, run_facts
from bmjax.run.compile import init_shapes
from bmjax.run.config_warnings import config_warnings
from bmjax.run.logs import data_size, short_duration
from bmjax.run.memory import wanted_bytes
from bmjax.training.optimizer import count_parameters

# Share of the measured matrix-product speed that a whole step reaches (ours: 0.3 to 0.7
# on CPUs; the progress bar has the true figure a minute later).
_EFFICIENCY = 0.4


def describe_run(run: BuiltRun, say: Callable[[str], None]) -> None:
    """Say what will be trained on what: images a class, steps, parameters, devices."""
    settings, data, length = run.settings, run.data, run.length
    classes = data.catalog.classes
    train, test = (counts(data.catalog, part) for part in data.split)
    shapes = init_shapes(run.learner, batch_shapes(settings.data, run.mesh))
    epochs = length.steps / length.steps_per_epoch
    device = run.mesh.devices.flat[0]
    say(
        f"{settings.method_name}, {settings.model.name}: "
        f"{count_parameters(shapes.params):,} parameters"
    )
    say(
        f"images: {data.catalog.root} ({settings.data.split} {settings.data.fold}, "
        f"digest {data.split_digest[:12]}): "
        f"{len(data.split.train):,} train, {len(data.split.test):,} test, "
        f"{len(classes)} classes"
    )
    if len(data.validation):
        say(
            f"validation: {len(data.validation):,} more images of the training part, "
            "which are not trained on"
        )
    if settings.data.pretrain_on == "all":
        say("pretraining sees all of them, test images too, without labels")
    width = max(map(len, classes))
    for name in classes:
        note = "  (no test image)" if not test[name] else ""
        say(f"  {name:{width}s} {train[name]:7,d} {test[name]:7,d}{note}")
    say(
        f"steps: {length.steps:,} of {settings.data.batch_size} images = {epochs:.1f} "
        f"epochs of {length.steps_per_epoch:,}; checkpoint every "
        f"{length.save_every:,}"
    )
    together = f" of {processes()} processes" if processes() > 1 else ""
    say(
        f"devices: {run.mesh.size} x {device.device_kind} ({device.platform}){together}"
    )
    for note in config_warnings(settings, run_facts(settings, data, length)):
        say(f"note: {note}")


def describe_program(
    mesh: jax.sharding.Mesh,
    steps: int,
    compiled: jax.stages.Compiled,
    seconds: float,
    say: Callable[[str], None],
    *,
    cached: bool = False,
) -> None:
    """Say what the compiled step needs: memory and, on a CPU, hours by a rough measure.

    Elsewhere convolutions and matrix products are calls of a library, which XLA's cost
    analysis counts as no operations (a fiftieth of a ResNet-50's step was left on an
    H100).
    """
    done = "taken from the cache" if cached else "compiled"
    line = f"{done} in {short_duration(seconds)}"
    if size := wanted_bytes(compiled):
        line += f"; {data_size(size)} on each device"
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    cost = (compiled.cost_analysis() if on_cpu else None) or {}
    if flops := cost.get("flops"):
        own = own_mesh(mesh)
        product, operations = make_matrix_product(own, jnp.float32)
        speed = matrix_speed(product, operations, seconds=0.2) / own.size
        estimate = flops / (_EFFICIENCY * speed) * steps
        line += (
            f"; {short_duration(max(estimate, 1.0))} or more in all, by a rough measure"
        )
    say(line)
