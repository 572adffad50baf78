"""Faults that a test wants at a named point of a run; none unless it asks.

The environment variable `BMJAX_FAULT` holds entries `POINT:ACTION`, with commas between
them, or `POINT@STEP:ACTION` for one training step alone. Each happens once.

    BMJAX_FAULT=checkpoint.staged@8:kill python -m bmjax.main ...

A step's own numbers (`step.loss`, `step.gradient`, `step.parameter`, `step.statistic`)
become `nan` or `inf` in the compiled program: at that step, or at every one.

    BMJAX_FAULT=step.gradient@5:nan python -m bmjax.main ...
"""

import errno
import math
import os
import signal
from collections.abc import Iterator

VARIABLE = "BMJAX_FAULT"
_SIGNALS = {
    "kill": signal.SIGKILL,
    "term": signal.SIGTERM,
    "int": signal.SIGINT,
    "hup": signal.SIGHUP,
}
_NUMBERS = {"nan": math.nan, "inf": math.inf}
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
    for entry, where, action in _entries():
        if where not in (point, f"{point}@{step}") or entry in _done:
            continue
        _done.add(entry)
        if action == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if action == "fail":
            raise RuntimeError(f"asked for by {VARIABLE} at {point}")
        os.kill(os.getpid(), _SIGNALS[action])


def numbers_asked(point: str) -> list[tuple[int | None, float]]:
    """The steps at which a test asks for a number at this point, None for every one."""
    found: list[tuple[int | None, float]] = []
    for _, where, action in _entries():
        name, _, step = where.partition("@")
        if name == point and action in _NUMBERS:
            found.append((int(step) if step else None, _NUMBERS[action]))
    return found


def _entries() -> Iterator[tuple[str, str, str]]:
    """Each entry, and its place and action."""
    for entry in filter(None, os.environ.get(VARIABLE, "").split(",")):
        where, _, action = entry.rpartition(":")
        yield entry, where, action
