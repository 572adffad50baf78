"""A full disk ends a run in one sentence, with nothing lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bmjax.errors import CheckpointError
from bmjax.files import describe_os_error, free_space, no_space


@contextlib.contextmanager
def full_disk_explained() -> Iterator[None]:
    """Turn what a full disk raises, wherever in a run, into one sentence with its cure.

    Raises:
        CheckpointError: a file could not be written for want of space.
    """
    try:
        yield
    except OSError as error:  # `files.CannotWrite` is one too
        if not (no_space(error) and error.filename):
            raise
        free = free_space(Path(error.filename).parent) / 1e6
        raise CheckpointError(
            f"{error.filename!r} cannot be written: {describe_os_error(error)} "
            f"({free:,.1f} MB are free); make room and start the same command again, "
            "which goes on from the last checkpoint"
        ) from None
