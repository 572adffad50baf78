"""A command in a process of its own, whose end the one that waits for it explains.

jax ends a process by SIGABRT when another process of the same run is gone, and lets
nothing in it say so.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from bmjax.console.signals import STOP
from bmjax.console.worker_process import end_with_process
from bmjax.errors import PEER_GONE

_GUARD = "BMJAX_GUARDED_BY"  # number of the process that waits


def is_guarded() -> bool:
    """Whether this process was started by `run_guarded`; from now on it ends with it.

    What it starts itself is not.
    """
    number = os.environ.pop(_GUARD, "")
    if not number.isdigit() or int(number) != os.getppid():
        return False
    end_with_process(int(number))
    return True


def run_guarded(module: str, arguments: Sequence[str], *, gone: str) -> int:
    """Run a module as a command, hand its signals on, and return its exit code.

    Args:
        module: such as "bmjax.main"; it asks `is_guarded`.
        arguments: of the command line.
        gone: the sentence where it was ended by SIGABRT, whose exit code is then 76.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, _GUARD: str(os.getpid())}
    # In a session of its own: Ctrl-C reaches it once, from here.
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    before = {
        number: signal.signal(number, lambda number, _: child.send_signal(number))
        for number in STOP
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGINT
    }
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if code == -signal.SIGABRT:
        print(f"bmjax: {gone}", file=sys.stderr)
        return PEER_GONE
    return code if code >= 0 else 128 - code
