"""bmjax train --config=NAME[:VARIANT] --workdir=DIR [overrides].

The same as python -m bmjax.main.

Trains, evaluates and reports one configuration; the same command again resumes it.

  --config=NAME[:VARIANT]   a shipped configuration, such as swav:demo, or the path of
                            one, such as configs/swav.py:demo; it is Python and is
                            executed
  --workdir=DIR             where everything of this run goes
  --config.KEY=VALUE        changes one key, such as --config.data.root=FOLDER,
                            --config.data.fold=2 or --config.mesh.devices=4
  --debug                   shows a traceback for any error

Exit codes: 0 done, 1 a defect of ours, 2 usage or configuration, 3 data, 4 a loss that
is not finite, 5 checkpoint, 75 stopped by SIGTERM or SIGHUP and 130 by Ctrl-C, a state
in training saved first, 76 another process of the run has ended. A run goes on when
nobody reads its output any more.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

from bmjax.console.best_effort import best_effort_output
from bmjax.console.command import leave, print_anything, run_command
from bmjax.console.guarded_process import is_guarded, run_guarded
from bmjax.devices.cluster import Cluster, find_cluster
from bmjax.errors import DONE, ConfigError

_GONE = (
    "process {} was ended by jax, which ends all processes of a run when one of them "
    "is gone or has been silent for config.mesh.heartbeat seconds; its lines above "
    "name it; start the same commands again, and the run goes on from its last "
    "checkpoint"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h", "--helpfull", "--helpshort"} & set(argv):
        return run_command(lambda: print(__doc__))
    debug = "--debug" in argv
    argv = [argument for argument in argv if argument != "--debug"]

    with best_effort_output():
        if debug:
            print_anything()
            return _train(argv, debug=True)
        return run_command(
            lambda: _train(argv), stopped="stopped before anything was begun"
        )


def _train(argv: Sequence[str], *, debug: bool = False) -> int:
    from bmjax.run.command_line import check_start, read_flags

    config, workdir = read_flags(argv)
    check_start(config)
    cluster = _cluster(config.mesh)
    from bmjax.run.logs import say
    from bmjax.run.workdir import is_finished

    if is_finished(workdir, config.to_dict()):
        say(f"already complete: {workdir / 'report.html'}")
        return DONE
    if cluster and not is_guarded():
        arguments = [*argv, *(["--debug"] if debug else [])]
        return run_guarded("bmjax.main", arguments, gone=_GONE.format(cluster.process))
    from bmjax.devices.jax_setup import start_jax

    devices = config.mesh.devices // (cluster.processes if cluster else 1)
    start_jax(devices=devices, precision=config.train.precision)
    from bmjax.run.train import train

    if cluster is None:
        train(config, workdir)
        return DONE
    from bmjax.run.several import joined

    with joined(cluster, config, str(workdir)):
        train(config, workdir)
    return DONE


def _cluster(mesh: Any) -> Cluster | None:
    """The processes that this one belongs to."""
    cluster = find_cluster(mesh.coordinator, mesh.processes, mesh.process, os.environ)
    if cluster and mesh.devices % cluster.processes:
        raise ConfigError(
            f"config.mesh.devices = {mesh.devices} does not divide by "
            f"{cluster.processes} processes; give a multiple, or 0 for all there are"
        )
    return cluster


if __name__ == "__main__":
    leave(main())
