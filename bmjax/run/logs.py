"""What a run says: lines and a bar for people, JSON lines and events for tools."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from bmjax.files import write_whole


def say(text: str) -> None:
    """One line for a person, at once."""
    print(text, flush=True)


def note(text: str) -> None:
    """One line for a person that does not break a bar."""
    from tqdm import tqdm

    tqdm.write(text)
    sys.stdout.flush()


class Metrics:
    """Writes `metrics.jsonl` and TensorBoard events; steps only ever rise.

    A resumed run forgets what the interrupted one wrote beyond the checkpoint.
    """

    def __init__(self, workdir: Path, *, first_step: int):
        """Open both, to go on after `first_step` updates."""
        from tensorboardX import SummaryWriter

        self._path = workdir / "metrics.jsonl"
        _forget_after(self._path, first_step)
        self._file = open(self._path, "a")  # noqa: SIM115 closed by close()
        self._events = SummaryWriter(str(workdir), purge_step=first_step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one line, flushed: `step` and the values, null for what is no number."""
        finite = {k: v for k, v in values.items() if math.isfinite(v)}
        line = {"step": step, **dict.fromkeys(values), **finite}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in finite.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        self._events.close()


def _forget_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut
        if entry.get("step", step + 1) <= step:
            kept.append(line + "\n")
    write_whole(path, "".join(kept))


class Progress:
    """A bar on a terminal, plain lines elsewhere."""

    def __init__(self, *, first: int, total: int, what: str):
        """Take the steps already made, the steps in all and a name."""
        from tqdm import tqdm

        self._terminal = sys.stderr.isatty()
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
