"""Some steps of methods, in one process of several, or in one that is alone.

python -m tests.helpers.two_processes PROCESSES PROCESS PORT CELLS OUT METHOD...

Each of the processes makes 4 / PROCESSES devices. OUT gets the parameters after two
steps of each method, by process 0; made a second time they are the same to the bit.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from bmjax.data.pipeline import training_batches
from bmjax.devices import processes
from bmjax.devices.cluster import Cluster
from bmjax.devices.jax_setup import start_jax
from bmjax.devices.mesh import place, replicated
from bmjax.run import build as build_module
from bmjax.run.build import batch_shapes, build
from bmjax.run.command_line import find_config, load_config
from bmjax.run.compile import compile_step, init_state
from bmjax.run.train import loop
from bmjax.run.validate import validate
from bmjax.training import checkpoint
from tests.helpers.toy_network import toy_network

STEPS = 2


def toy(name, *, num_classes, head, embedding_dim, **others):
    """In the place of `make_network`: the methods are what is looked at."""
    del name, others
    return toy_network(num_classes=num_classes, head=head, embedding_dim=embedding_dim)


def trained(run, compiled, start):
    """The parameters after `STEPS` steps, as host arrays."""
    data, state = run.data, place(start, replicated(run.mesh))
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


def main(count, number, port, cells, out, methods):
    start_jax(devices=4 // count)
    build_module.make_network = toy
    if count > 1:
        cluster = Cluster(f"127.0.0.1:{port}", count, number)
        processes.connect(cluster, heartbeat=60, speak=lambda text: None)
    with processes.leaving_together():
        found = {}
        for name in methods:
            config = load_config(*find_config(f"{name}:smoke"))
            config.data.root = cells
            run = build(validate(config), Path(out))
            shapes = batch_shapes(run.settings.data, run.mesh)
            state = init_state(run.learner, shapes, run.mesh)
            compiled = compile_step(run.learner, state, shapes, run.mesh)
            start = jax.device_get(state)
            first, again = (trained(run, compiled, start) for _ in range(2))
            assert checkpoint.digest(first) == checkpoint.digest(again), name
            for path, leaf in jax.tree_util.tree_flatten_with_path(first)[0]:
                found[name + jax.tree_util.keystr(path)] = np.asarray(leaf)
        if processes.is_first():
            np.savez(out, **found)


if __name__ == "__main__":
    numbers, (cells, out, *methods) = sys.argv[1:4], sys.argv[4:]
    main(*map(int, numbers), cells, out, methods)
