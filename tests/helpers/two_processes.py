"""Some steps of every method, in one process of several, or in one that is alone.

python -m tests.helpers.two_processes PROCESSES PROCESS PORT CELLS OUT

Each of the processes makes 4 / PROCESSES devices. OUT gets the parameters after two
steps of each method, by process 0, and from a second time the digests.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from bmjax.data.pipeline import training_batches
from bmjax.devices import processes
from bmjax.devices.cluster import Cluster
from bmjax.devices.jax_setup import start_jax
from bmjax.methods import METHODS
from bmjax.run.build import batch_shapes, build
from bmjax.run.command_line import find_config, load_config
from bmjax.run.compile import compile_step, init_state
from bmjax.run.train import loop
from bmjax.run.validate import validate
from bmjax.training import checkpoint

STEPS = 2


def trained(run, compiled):
    """The parameters after `STEPS` steps, as host arrays by name."""
    data = run.data
    state = init_state(run.learner, batch_shapes(run.settings.data, run.mesh), run.mesh)
    batches = training_batches(
        data.catalog,
        data.stream,
        size=run.settings.data.size,
        batch_size=run.settings.data.batch_size,
        first_step=0,
        threads=1,
        prefetch=1,
        process=processes.process(),
        processes=processes.processes(),
    )
    state = loop(
        compiled,
        state,
        batches,
        mesh=run.mesh,
        first=0,
        total=STEPS,
        save_every=STEPS,
        log_every=STEPS,
        save=lambda step, state: None,
        log=lambda step, values: None,
    )
    return jax.device_get(state.params)


def main(count, number, port, cells, out):
    start_jax(devices=4 // count)
    if count > 1:
        cluster = Cluster(f"127.0.0.1:{port}", count, number)
        processes.connect(cluster, heartbeat=60, speak=lambda text: None)
    with processes.leaving_together():
        found = {}
        for name in METHODS:
            config = load_config(*find_config(f"{name}:smoke"))
            config.data.root = cells
            run = build(validate(config), Path(out))
            shapes = batch_shapes(run.settings.data, run.mesh)
            state = init_state(run.learner, shapes, run.mesh)
            compiled = compile_step(run.learner, state, shapes, run.mesh)
            first, again = trained(run, compiled), trained(run, compiled)
            assert checkpoint.digest(first) == checkpoint.digest(again), name
            for path, leaf in jax.tree_util.tree_flatten_with_path(first)[0]:
                found[name + jax.tree_util.keystr(path)] = np.asarray(leaf)
        if processes.is_first():
            np.savez(out, **found)


if __name__ == "__main__":
    *numbers, cells, out = sys.argv[1:]
    main(*map(int, numbers), cells, out)
