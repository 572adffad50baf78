"""The metrics of a run by step: JSON lines, and TensorBoard events.

Both are written as well as can be: a disk that is full ends no training.
"""

import contextlib
import json
import math
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bmjax.files import write_whole
from bmjax.run.logs import note

VALIDATION = "validation/"  # begins the names of the figures of a validation


class MetricLog:
    """Writes `metrics.jsonl` and TensorBoard events; steps only ever rise.

    A resumed run forgets what the interrupted one wrote beyond the checkpoint.
    """

    def __init__(
        self, workdir: Path, *, first_step: int, validated: Collection[int] = ()
    ):
        """Open both, to go on after `first_step` updates.

        Lines of validations that the checkpoint does not know are forgotten as well:
        these are made again.

        Args:
            workdir: of the run.
            first_step: updates made so far.
            validated: steps of the validations that the checkpoint knows.
        """
        self._path = workdir / "metrics.jsonl"
        _forget_after(self._path, first_step, validated)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 see close()
        self._waiting = b""  # lines that found no room
        self._events: _Events | None = None
        with self._noted("TensorBoard's events", "they end here"):
            self._events = _Events(workdir, first_step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one line: `step` and the values, null for what is no number.

        A line that finds no room is kept, and written with the next that does.
        """
        finite = {k: v for k, v in values.items() if math.isfinite(v)}
        line = {"step": step, **dict.fromkeys(values), **finite}
        first = not self._waiting
        self._waiting += json.dumps(line).encode() + b"\n"
        end = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(self._waiting) < len(self._waiting):
                raise OSError("no space is left")
        except OSError as error:
            # Half a line would be a broken one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), end)
            if first:
                _note_loss(self._path.name, error, "its lines are kept until they fit")
        else:
            self._waiting = b""
        if self._events:
            with self._noted("TensorBoard's events", "they end here"):
                self._events.write(step, finite)
                return
            self._events = None

    def close(self) -> None:
        """Close both files."""
        self._file.close()
        if self._events:
            with self._noted("TensorBoard's events", "the last ones are missing"):
                self._events.close()

    @contextlib.contextmanager
    def _noted(self, what: str, loss: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _note_loss(what, error, loss)


class _Events:
    """TensorBoard's file, written at once: the usual writer has a thread that hangs.

    (tensorboardX 2.6: its thread ends at the first OSError, and the queue fills.)
    """

    def __init__(self, workdir: Path, first_step: int):
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._file = EventsWriter(str(workdir / "events"))
        start = SessionLog(status=SessionLog.START)
        # What an interrupted run wrote from this step on is not shown.
        for fields in ({"file_version": "brain.Event:2"}, {"session_log": start}):
            event = Event(step=first_step + 1, wall_time=time.time(), **fields)
            self._file.write_event(event)
        self._file.flush()

    def write(self, step: int, values: dict[str, float]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            summary = scalar(name, value)
            event = Event(step=step, wall_time=time.time(), summary=summary)
            self._file.write_event(event)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _note_loss(what: str, error: OSError, loss: str) -> None:
    reason = error.strerror or error
    note(f"warning: {what} cannot be written ({reason}); training goes on, {loss}")


def _forget_after(path: Path, step: int, validated: Collection[int]) -> None:
    if not path.exists():
        return
    kept, before = [], path.read_text()
    for line in before.splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut
        at = entry.get("step", step + 1)
        again = at not in validated and any(k.startswith(VALIDATION) for k in entry)
        if at <= step and not again:
            kept.append(line + "\n")
    if before.startswith(after := "".join(kept)):
        os.truncate(path, len(after.encode()))  # it takes no space on the disk
    else:
        write_whole(path, after)
