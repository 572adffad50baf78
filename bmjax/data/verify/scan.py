"""Every image examined, on several cores."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path

from bmjax.console.progress import tracked
from bmjax.console.signals import ignore_signals, signals_wait
from bmjax.console.worker_process import end_with_parent
from bmjax.data.verify.examine import Examined, examine
from bmjax.errors import DataError

_CHUNK = 64  # images that a worker takes at a time
_ALONE = 256  # so few are examined before a second process has started


def examine_files(
    root: Path, paths: Sequence[str], *, workers: int | None
) -> list[Examined]:
    """Examine files below `root`, in their order, with a line on a terminal.

    Workers are processes: a decoder warns on its process's standard error alone, and
    so each complaint is known to be about the picture being decoded.

    Args:
        root: the folder.
        paths: of the files, below it.
        workers: how many processes; None: one for each core.

    Raises:
        DataError: a file brought its process down.
    """
    workers = workers or _cores()
    if workers == 1 or len(paths) <= _ALONE:
        found = (examine(root / path) for path in paths)
        return list(tracked(found, "images", len(paths)))
    context = multiprocessing.get_context("spawn")
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    found: list[Examined] = []
    with ProcessPoolExecutor(workers, context, _begin_worker) as pool:
        try:
            with signals_wait():
                results = pool.map(_examine_all, [root] * len(chunks), chunks)
            examined = chain.from_iterable(results)
            found.extend(tracked(examined, "images", len(paths)))
            return found
        except BrokenProcessPool:
            raise DataError(
                f"a process that read images of {str(root)!r} was killed, for want "
                f"of memory or by an image: look at {paths[len(found)]!r} and at those "
                "after it"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else it would read all that is queued
            raise


def _begin_worker() -> None:
    """The process that waits stops the others in order, or they end with it."""
    end_with_parent()
    ignore_signals()


def _examine_all(root: Path, paths: Sequence[str]) -> list[Examined]:
    return [examine(root / path) for path in paths]


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
