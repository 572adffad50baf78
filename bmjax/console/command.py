"""The one place where an error becomes a sentence and an exit code."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from bmjax.console.best_effort import send_nowhere
from bmjax.console.escape import on_one_line
from bmjax.console.signals import termination_stops
from bmjax.errors import BROKEN_PIPE, DATA, INTERRUPTED, STOPPED, BmjaxError
from bmjax.files import no_space


def run_command(command: Callable[[], int | None], *, stopped: str = "stopped") -> int:
    """Run a command, and say in one sentence on standard error what stopped it.

    Characters that the terminal's encoding lacks are printed as escapes. An error
    that is not a user's keeps its traceback, for it is a defect.

    Args:
        command: returns its exit code, or None for 0.
        stopped: what to say after Ctrl-C.

    Returns:
        the exit code: the command's own or its `BmjaxError`'s; 3 for a disk that is
        full; 75 for SIGTERM and SIGHUP, 130 for Ctrl-C; 141 where whoever read the
        output has gone (`| head`).
    """
    print_anything()
    try:
        with termination_stops():
            code = command()
        sys.stdout.flush()
        return code or 0
    except BmjaxError as error:
        return say_error(error)
    except KeyboardInterrupt:
        print(f"bmjax: {on_one_line(stopped)}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except OSError as error:
        if not no_space(error):
            raise
        where = f" for {str(error.filename)!r}" if error.filename else ""
        print(
            f"bmjax: no space is left{where} ({error.strerror}); free some, or write "
            "to another place",
            file=sys.stderr,
        )
        return DATA


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    At once where a signal stopped it: a library that was cut off in its work, such as
    a compiler, can fail as the interpreter takes it down.
    """
    if code in (STOPPED, INTERRUPTED):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def say_error(error: BmjaxError) -> int:
    """Print an error as one line, whatever names are in it; return its exit code."""
    print(f"bmjax: {on_one_line(str(error))}", file=sys.stderr)
    return error.exit_code


def print_anything() -> None:
    """Have the terminal show as an escape what its encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        # A notebook's streams have no such setting, and need none.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and stream.errors == "strict":
            reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Have the interpreter's last flush go nowhere, not into the broken pipe."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            send_nowhere(stream)
