"""Being asked to stop: SIGTERM from a scheduler, SIGHUP from a terminal, Ctrl-C."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TypeVar

from bmjax.errors import INTERRUPTED, STOPPED, Stopped

STOP = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP")
    if hasattr(signal, name)
)
_AGAIN = 5.0  # seconds until a signal that a library has swallowed is raised again
_WAIT = 0.1  # seconds until a signal that came within an import is looked at again
_LOOKS = 50  # then it is a module that works for long, as a script that is imported
_IMPORT = "<frozen importlib"  # the file of the interpreter's own frames of an import
_KILLS = 3  # signals until the process ends at once


def ignore_signals() -> None:
    """Leave signals that stop to the process that this one works for.

    They reach all processes of a terminal or a job, but it is that one which saves what
    there is to save and then ends its workers.
    """
    for number in STOP:
        signal.signal(number, signal.SIG_IGN)


_Receiver = TypeVar("_Receiver", bound="SignalReceiver")


class SignalReceiver:
    """Signals that stop go to `_receive` inside the `with`, and where before after.

    A signal that was ignored before, as SIGHUP under nohup, stays ignored. Ctrl-C does
    not: a shell has all that it starts in the background ignore it. One that comes
    within an import waits for its end: modules that are cut off there have caught the
    error and gone on, or have ended the process by a segmentation fault.
    """

    numbers = STOP
    _looks = 0  # at an import that has not ended

    def __enter__(self: _Receiver) -> _Receiver:
        self._before = {
            number: signal.signal(number, self._after_imports)
            for number in self.numbers
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _after_imports(self, number: int, frame) -> None:
        if _imports(frame) and self._looks < _LOOKS:
            self._looks += 1
            again = threading.Timer(_WAIT, os.kill, (os.getpid(), number))
            again.daemon = True
            return again.start()
        self._looks = 0
        self._receive(number, frame)

    def _receive(self, number: int, frame) -> None:
        raise NotImplementedError


def _imports(frame: FrameType | None) -> bool:
    """Whether the main thread is within an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT):
            return True
        frame = frame.f_back
    return False


class StopSignals(SignalReceiver):
    """Signals stop the loop at its next step, and all else at once.

    A second one changes nothing, so that a save is not cut off; the third ends the
    process. A library may catch the error that a signal raises and raise another one,
    which then counts as a stop too; or catch it and go on, see `insist`.
    """

    def __init__(self, *, insist: bool = False):
        """Nothing has come yet.

        Args:
            insist: raise the error again every few seconds, in case it was swallowed;
                for a block that has little to clean up.
        """
        self.number = 0
        self._insist = insist
        self._times = 0
        self._wait = False
        self._raised = False

    def __enter__(self) -> "StopSignals":
        """Receive signals from here on."""
        super().__enter__()
        self._alarm = signal.signal(signal.SIGALRM, self._raise_again)
        return self

    def __exit__(self, kind, error, trace) -> None:
        """Give the signals back; what a signal has turned into is a stop again."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._alarm)
        super().__exit__(kind, error, trace)
        if self._raised and error is not None and not isinstance(error, Stopped):
            raise self._stopped() from error

    def _receive(self, number: int, frame) -> None:
        del frame
        self._times += 1
        if self._times >= _KILLS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self._times == 1:
            self.number = number
            if not self._wait:
                self._raise()

    def _raise_again(self, number: int, frame) -> None:
        del number, frame
        raise self._stopped()

    def _raise(self) -> None:
        self._raised = True
        if self._insist:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        raise self._stopped()

    def _stopped(self) -> Stopped:
        return self.error("stopped; what was saved before stands")

    @contextlib.contextmanager
    def at_the_next_step(self) -> Iterator[None]:
        """Let the loop finish its step and save."""
        self._wait = True
        try:
            yield
        finally:
            self._wait = False
        if self.number:  # came after the loop had looked for the last time
            self._raise()

    def error(self, what: str) -> Stopped:
        """The error to leave with."""
        code = INTERRUPTED if self.number == signal.SIGINT else STOPPED
        return Stopped(f"{what}; the same command goes on from there", code)


class _TerminationStops(SignalReceiver):
    """Signals stop a command by an error; for Ctrl-C it is Python's own."""

    def _receive(self, number: int, frame) -> None:
        del frame
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Stopped("stopped", STOPPED)


@contextlib.contextmanager
def termination_stops() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block by `Stopped`, Ctrl-C by KeyboardInterrupt.

    In the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _TerminationStops():
        yield


class _Kept(SignalReceiver):
    """Signals that came meanwhile."""

    def __init__(self):
        self.came: list[int] = []

    def _receive(self, number: int, frame) -> None:
        del frame
        self.came.append(number)


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
    if kept.came:
        signal.raise_signal(kept.came[0])
