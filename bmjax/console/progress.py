"""One line of a terminal that says how far a command is."""

import sys
from collections.abc import Callable

Progress = Callable[[int, int], None]  # how many are done, of how many


def show_progress(what: str) -> Progress:
    """Keep one line of the terminal up to date; say nothing into a pipe or a log."""

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            share = 100 * done // max(total, 1)
            text = f"\r{share:3d} %  {done:,} of {total:,} {what}"
            print(text, end=end, file=sys.stderr, flush=True)

    return progress
