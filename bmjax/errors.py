"""The errors that a user can cause, each with its exit code, and the codes as such.

A message is one sentence: what was expected, what came, which key or file, the cure.
"""

import difflib
from collections.abc import Sequence

DONE = 0
DEFECT = 1  # ours: shown with a traceback
USAGE = 2  # the command or the configuration
DATA = 3  # the images, folders, tables
NON_FINITE = 4  # the loss is no number any more
CHECKPOINT = 5  # a saved state that cannot be used
STOPPED = 75  # SIGTERM, the state was saved (EX_TEMPFAIL: start the same command again)
PEER_GONE = 76  # another process of the run has ended: start the same commands again
INTERRUPTED = 130  # Ctrl-C, the state was saved
BROKEN_PIPE = 141  # whoever read the output has gone, as for any program


class BmjaxError(Exception):
    """An error whose message is for the user; `exit_code` is the process's."""

    exit_code = DEFECT


class ConfigError(BmjaxError):
    """A key, value, variant or argument that cannot be right."""

    exit_code = USAGE


class DataError(BmjaxError):
    """A folder, image or table that cannot be used."""

    exit_code = DATA


class NonFiniteError(BmjaxError):
    """The loss became infinite or not a number."""

    exit_code = NON_FINITE


class CheckpointError(BmjaxError):
    """A checkpoint that is damaged or belongs to another program."""

    exit_code = CHECKPOINT


class Stopped(BmjaxError):
    """A signal asked the run to stop; the state was saved."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def first_line(error: Exception, otherwise: str = "") -> str:
    """The first line of what a library's error says, at most 200 characters.

    Args:
        error: any.
        otherwise: what stands there where it says nothing; "": the error's type.
    """
    said = str(error).strip().partition("\n")[0][:200]
    return said or otherwise or type(error).__name__


def check_known(key: str, value: str, known: Sequence[str]) -> None:
    """Raise ConfigError, with the nearest known value, unless the value is known."""
    if value in known:
        return
    near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ConfigError(
        f"{key} = {value!r} is not known{hint}; use one of {', '.join(known)}"
    )
