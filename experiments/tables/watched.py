"""A module run as a command that is stopped when whoever started it is gone.

    python -m experiments.tables.watched MODULE ARGUMENTS...

Standard input is a pipe that the other process holds and never writes to.
"""

import os
import runpy
import signal
import sys
import threading


def _watch() -> None:
    # Not sys.stdin.read: its lock would still be held when the interpreter ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
