"""Being asked to stop: SIGTERM from a scheduler, Ctrl-C from a person."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TypeVar

from bmjax.errors import INTERRUPTED, STOPPED, Stopped

BOTH = (signal.SIGTERM, signal.SIGINT)


def ignore_signals() -> None:
    """Leave SIGTERM and Ctrl-C to the process that this one works for.

    They reach all processes of a terminal or a job, but it is that one which saves what
    there is to save and then ends its workers.
    """
    for number in BOTH:
        signal.signal(number, signal.SIG_IGN)


_Receiver = TypeVar("_Receiver", bound="SignalReceiver")


class SignalReceiver:
    """SIGTERM and Ctrl-C go to `_receive` inside the `with`, and where before after."""

    def __enter__(self: _Receiver) -> _Receiver:
        self._before = {number: signal.signal(number, self._receive) for number in BOTH}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame) -> None:
        raise NotImplementedError


class StopSignals(SignalReceiver):
    """SIGTERM and Ctrl-C stop the loop at its next step, and all else at once."""

    def __init__(self):
        """Nothing has come yet."""
        self.number = 0
        self._wait = False

    def _receive(self, number: int, frame) -> None:
        del frame
        self.number, again = number, self.number
        if again or not self._wait:
            raise self.error("stopped; what was saved before stands")

    @contextlib.contextmanager
    def at_the_next_step(self) -> Iterator[None]:
        """Let the loop finish its step and save; a second signal does not wait."""
        self._wait = True
        try:
            yield
        finally:
            self._wait = False

    def error(self, what: str) -> Stopped:
        """The error to leave with."""
        code = INTERRUPTED if self.number == signal.SIGINT else STOPPED
        return Stopped(f"{what}; the same command goes on from there", code)


class _Kept(SignalReceiver):
    """Signals that came meanwhile."""

    def __init__(self):
        self.numbers: list[int] = []

    def _receive(self, number: int, frame) -> None:
        del frame
        self.numbers.append(number)


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Let the block finish before a signal takes effect, as where processes start.

    A process whose beginning is cut short shows a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    with _Kept() as kept:
        yield
    if kept.numbers:
        signal.raise_signal(kept.numbers[0])
