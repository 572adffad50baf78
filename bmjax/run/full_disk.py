"""A full disk ends a run in one sentence, with nothing lost."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bmjax.errors import BmjaxError, CheckpointError
from bmjax.files import describe_os_error, free_space, no_space


@contextlib.contextmanager
def full_disk_explained() -> Iterator[None]:
    """Turn what a full disk raises, wherever in a run, into one sentence with its cure.

    Raises:
        CheckpointError: a file could not be written for want of space.
    """
    try:
        yield
    except (OSError, BmjaxError) as error:  # `files.CannotWrite` is both
        full = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(full, OSError) or not (no_space(full) and full.filename):
            raise
        free = free_space(Path(full.filename).parent) / 1e6
        raise CheckpointError(
            f"{full.filename!r} cannot be written: {describe_os_error(full)} "
            f"({free:,.1f} MB are free); make room and start the same command again, "
            "which goes on from the last checkpoint"
        ) from None
