"""A process that works for another ends with it, however that one ends."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import connection

_EVERY = 1.0  # seconds between two looks at who the parent is


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, also by SIGKILL.

    A process that is killed cannot end its workers, and a worker that waits for work
    notices nothing. A thread waits for the end of a pipe that the parent holds, and
    looks now and then whether this process has got another parent. (Linux's
    PR_SET_PDEATHSIG is bound to the parent's thread, which may end before it does.)
    """
    parent = multiprocessing.parent_process()
    if parent is None:  # nobody's worker
        return
    _start_watch(os.getppid(), lambda: connection.wait([parent.sentinel], _EVERY))


def end_with_process(number: int) -> None:
    """End this process soon after its parent, which has that number, is gone."""
    _start_watch(number, lambda: time.sleep(_EVERY))


def _start_watch(number: int, wait: Callable[[], object]) -> None:
    threading.Thread(
        target=_watch, args=(number, wait), name="end_with_parent", daemon=True
    ).start()


def _watch(number: int, wait: Callable[[], object]) -> None:
    while not wait():
        if os.getppid() != number:
            break
    # Not sys.exit: the worker may be anywhere, and nothing of it is to be kept.
    os.kill(os.getpid(), signal.SIGKILL)
