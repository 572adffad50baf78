"""What a run says to people: lines, and a bar."""

import sys
import time

from bmjax.console.escape import on_one_line
from bmjax.console.notes import print_lines

_silent = False


def be_silent() -> None:
    """Say nothing from here on, as all processes of a run but the first do."""
    global _silent
    _silent = True


def say(text: str) -> None:
    """One line for a person, at once."""
    if not _silent:
        print_lines(text)


def note(text: str) -> None:
    """One line for a person that does not break a bar."""
    from tqdm import tqdm

    if _silent:
        return
    tqdm.write(on_one_line(text))
    sys.stdout.flush()


class Progress:
    """A bar on a terminal, plain lines elsewhere."""

    def __init__(self, *, first: int, total: int, what: str):
        """Take the steps already made, the steps in all and a name."""
        from tqdm import tqdm

        self._terminal = sys.stderr.isatty() and not _silent
        self._what, self._total, self._first = what, total, first
        self._start = time.monotonic()
        self._bar = tqdm(
            total=total,
            initial=first,
            desc=what,
            unit="step",
            disable=not self._terminal,
            dynamic_ncols=True,
        )

    def advance(self) -> None:
        """One more step was made."""
        self._bar.update()

    def show(self, step: int, *, loss: float, images_per_second: float) -> None:
        """Say how it stands."""
        if self._terminal:
            self._bar.set_postfix_str(
                f"loss {loss:.4f}, {images_per_second:.0f} images/s"
            )
            return
        passed = time.monotonic() - self._start
        left = passed / max(step - self._first, 1) * (self._total - step)
        say(
            f"{self._what} {step}/{self._total}  loss {loss:.4f}  "
            f"{images_per_second:.1f} images/s  {short_duration(left)} left"
        )

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def data_size(count: int | float) -> str:
    """Say a number of bytes: "512 bytes", "1.5 MB", "23.1 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"


def short_duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
