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
in training saved first. A run goes on when nobody reads its output any more.
"""

import sys
from collections.abc import Sequence

from bmjax.console.best_effort import best_effort_output
from bmjax.console.command import leave, print_anything, run_command
from bmjax.errors import DONE


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
            return _train(argv)
        return run_command(
            lambda: _train(argv), stopped="stopped before anything was begun"
        )


def _train(argv: Sequence[str]) -> int:
    from bmjax.run.command_line import check_start, read_flags

    config, workdir = read_flags(argv)
    check_start(config)
    from bmjax.run.logs import say
    from bmjax.run.workdir import is_finished

    if is_finished(workdir, config.to_dict()):
        say(f"already complete: {workdir / 'report.html'}")
        return DONE
    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=config.mesh.devices, precision=config.train.precision)
    from bmjax.run.train import train

    train(config, workdir)
    return DONE


if __name__ == "__main__":
    leave(main())
