"""Start a part in a process of its own, and make a record of whatever becomes of it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bmjax.benchmark.accelerator.plan import Part
from bmjax.benchmark.accelerator.predicted_steps import PART as PREDICTIONS
from bmjax.files import write_json

_MODULE = "bmjax.benchmark.accelerator.part"
_NOTE = "JAX has removed its internal frames"
# Of a device's memory for a part that has it to itself (ours: jax takes 0.75).
_ALONE = "0.9"


def record_place(folder: Path, name: str) -> Path:
    """The file of a part's record."""
    return folder / "parts" / f"{name}.json"


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """What is kept of a part; None where nothing is, or it cannot be read."""
    try:
        return json.loads(record_place(folder, name).read_text())
    except (OSError, ValueError):
        return None


def is_done(record: dict[str, Any] | None) -> bool:
    """Whether a part need not run again; one without figures is tried again."""
    return record is not None and "figures" in record


def run_part(
    part: Part, folder: Path, *, scale: str, more: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Run a part and keep its record in `folder`/parts, its output beside it.

    Args:
        part: what to run.
        folder: of the whole.
        scale: "small" or "paper".
        more: options of the command line that a part may want.
        seconds: after which it is ended; the record then says so.

    Returns:
        the record.
    """
    place = record_place(folder, part.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    task = part._asdict() | {"scale": scale, **more}
    command = [
        sys.executable,
        "-m",
        _MODULE,
        f"--task={json.dumps(task)}",
        f"--out={place}",
    ]
    output, started = place.with_suffix(".log"), time.monotonic()
    with open(output, "w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(part),
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=seconds)
            failed = "" if code == 0 else _last_words(output, code)
        except subprocess.TimeoutExpired:
            failed = f"it was ended after {seconds:.0f} s"
        finally:
            _end(process)
    if not failed and (record := read_record(folder, part.name)) is not None:
        return record
    record = {
        "part": part.name,
        "options": part.options,
        "scale": scale,
        "failed": failed or "it left no record",
        "seconds": time.monotonic() - started,
    }
    write_json(place, record)
    return record


def _environment(part: Part) -> dict[str, str]:
    """A part's own flags, besides those that are set already."""
    environment = dict(os.environ)
    if part.flags:
        given = environment.get("XLA_FLAGS", "").split()
        environment["XLA_FLAGS"] = " ".join([*given, *part.flags])
    if part.kind == PREDICTIONS:
        environment["JAX_PLATFORMS"] = "cpu"  # it counts, and leaves the device alone
    elif part.timed and part.kind != "torch":
        environment.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", _ALONE)
    else:
        # Several processes share the device: each takes what it needs.
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    return environment


def _end(process: subprocess.Popen) -> None:
    """End a part and what it started, where it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_words(output: Path, code: int) -> str:
    """The last line that says something."""
    text = output.read_text(errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    # jax ends a traceback with a rule and a note about itself.
    lines = [line for line in lines if line.strip("-") and _NOTE not in line]
    said = lines[-1].removeprefix("bmjax: ") if lines else "it said nothing"
    return f"{said[:400]} (exit code {code})"
