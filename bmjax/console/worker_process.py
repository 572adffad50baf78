"""A process that works for another ends with it, however that one ends."""

import multiprocessing
import os
import signal
import threading
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
    watching = threading.Thread(
        target=_watch, args=(parent, os.getppid()), name="end_with_parent", daemon=True
    )
    watching.start()


def _watch(parent, number: int) -> None:
    while not connection.wait([parent.sentinel], timeout=_EVERY):
        if os.getppid() != number:
            break
    # Not sys.exit: the worker may be anywhere, and nothing of it is to be kept.
    os.kill(os.getpid(), signal.SIGKILL)
