"""One line of a terminal that says how far a command is."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

ItemProgress = Callable[[int, int], None]  # how many are done, of how many

_Item = TypeVar("_Item")


def show_progress(what: str) -> ItemProgress:
    """Keep one line of the terminal up to date; say nothing into a pipe or a log."""
    last = ""

    def progress(done: int, total: int) -> None:
        nonlocal last
        if not sys.stderr.isatty():
            return
        text = f"\r{100 * done // max(total, 1):3d} %  {done:,} of {total:,} {what}"
        # Called for every item: the terminal is written to when a share is complete.
        if text[:6] != last[:6] or done == total:
            end = "\n" if done == total else ""
            print(text, end=end, file=sys.stderr, flush=True)
            last = text

    return progress


def tracked(items: Iterable[_Item], what: str, total: int) -> Iterator[_Item]:
    """Give the items on, and show how many of them were taken."""
    progress = show_progress(what)
    progress(0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, total)
