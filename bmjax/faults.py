"""Faults that a test wants at a named point of a run; none unless it asks.

The environment variable `BMJAX_FAULT` holds entries `POINT:ACTION`, with commas between
them, or `POINT@STEP:ACTION` for one training step alone. Each happens once.

    BMJAX_FAULT=checkpoint.staged@8:kill python -m bmjax.main ...
"""

import errno
import os
import signal

VARIABLE = "BMJAX_FAULT"
_SIGNALS = {
    "kill": signal.SIGKILL,
    "term": signal.SIGTERM,
    "int": signal.SIGINT,
    "hup": signal.SIGHUP,
}
_done: set[str] = set()


def reached(point: str, step: int | None = None) -> None:
    """Do here what the environment asks for at this point; nothing as a rule.

    The actions: `kill`, `term`, `int` and `hup` send this process that signal, `full`
    is a disk without space, and `fail` a defect.

    Args:
        point: name of the place in the code, such as `checkpoint.staged`.
        step: training step, where there is one.

    Raises:
        OSError: no space left on device, for `full`.
        RuntimeError: for `fail`.
    """
    asked = os.environ.get(VARIABLE)
    if not asked:
        return
    for entry in asked.split(","):
        where, _, action = entry.rpartition(":")
        if where not in (point, f"{point}@{step}") or entry in _done:
            continue
        _done.add(entry)
        if action == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if action == "fail":
            raise RuntimeError(f"asked for by {VARIABLE} at {point}")
        os.kill(os.getpid(), _SIGNALS[action])
