"""Output that ends nothing: work goes on when nobody can read any more what it says."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bmjax.files import describe_os_error

_NAMES = {"stdout": "standard output", "stderr": "standard error"}


class _BestEffort:
    """A text stream; what cannot be written goes nowhere, and so does all after it."""

    def __init__(self, stream: Any, lost: Callable[[OSError], None]):
        self._stream, self._lost = stream, lost

    def write(self, text: str) -> int:
        with self._forgiven():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._forgiven():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            send_nowhere(self._stream)
            self._lost(error)


@contextlib.contextmanager
def best_effort_output() -> Iterator[None]:
    """Let nothing that becomes of standard output and error end the block.

    A reader that has gone (`| head`), a terminal that was closed or a disk that is full
    is said once, in the other of the two.
    """
    before = {name: getattr(sys, name) for name in _NAMES}

    def lost(name: str, error: OSError) -> None:
        other = next(each for each in _NAMES if each != name)
        print(
            f"warning: {_NAMES[name]} cannot be written ({describe_os_error(error)}); "
            "the run goes on without it",
            file=getattr(sys, other),
            flush=True,
        )

    with open(os.devnull, "w") as nowhere:
        for name, stream in before.items():  # None where it was closed before
            setattr(sys, name, _BestEffort(stream or nowhere, partial(lost, name)))
        try:
            yield
        finally:
            for name, stream in before.items():
                setattr(sys, name, stream)


def send_nowhere(stream: Any) -> None:
    """Have all that a stream still holds, and gets, go to no place."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # A notebook's stream has no file.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
        stream.flush()
    os.close(nowhere)
