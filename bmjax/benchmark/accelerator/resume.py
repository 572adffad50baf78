"""A run that was killed and goes on ends with the very numbers of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bmjax.benchmark.accelerator.plan import DETERMINISTIC
from bmjax.errors import BmjaxError

_STEPS = 40
_KILL_AFTER = 5  # steps that are saved by then
_SECONDS = 240  # for one start


def check_resume(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Train twice with the shipped loop, one of them killed on its way."""
    del task
    places = {name: scratch / name for name in ("undisturbed", "killed")}
    begun = time.perf_counter()
    # Both start together, each with compiled programs of its own.
    undisturbed, killed = (_start(place) for place in places.values())
    try:
        reached = _kill_on_its_way(killed, places["killed"])
        killed = _start(places["killed"])
        for process in (undisturbed, killed):
            _finish(process)
    finally:
        for process in (undisturbed, killed):
            process.kill()
            process.wait()
    results = {
        name: json.loads((place / "run" / "results.json").read_text())
        for name, place in places.items()
    }
    digests = {name: each["params_sha256"] for name, each in results.items()}
    same = digests["undisturbed"] == digests["killed"]
    return {
        "digests": digests,
        "killed_after_step": reached,
        "steps": _STEPS,
        "flags": list(DETERMINISTIC),
        "wall_seconds": time.perf_counter() - begun,
        "checks": [
            {
                "check": f"parameters after {_STEPS} steps, killed after {reached}",
                "found": 0.0 if same else 1.0,
                "bound": 0.0,
                "holds": same,
            }
        ],
    }


def _start(place: Path) -> subprocess.Popen:
    """Start the shipped loop on a few synthetic cells."""
    place.mkdir(exist_ok=True)
    given = os.environ.get("XLA_FLAGS", "").split()
    environment = os.environ | {
        "XLA_FLAGS": " ".join([*given, *DETERMINISTIC]),
        "XDG_CACHE_HOME": str(place / "cache"),
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [
        sys.executable,
        "-m",
        "bmjax.main",
        "--config=swav:smoke",
        f"--workdir={place / 'run'}",
        f"--config.train.duration={_STEPS} steps",
        "--config.checkpoint.every=1 step",
        "--config.mesh.devices=1",
    ]
    with open(place / "log.txt", "a") as log:
        return subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


def _kill_on_its_way(process: subprocess.Popen, place: Path) -> int:
    """Kill it once some steps are saved; return the last that was."""
    folder, begun = place / "run" / "checkpoints", time.monotonic()
    while time.monotonic() - begun < _SECONDS:
        saved = [int(each.name) for each in folder.glob("*") if each.name.isdigit()]
        if saved and max(saved) >= _KILL_AFTER:
            process.send_signal(signal.SIGKILL)
            process.wait()
            if max(saved) >= _STEPS:
                raise _Failed("the run was over before it could be killed")
            return max(saved)
        if process.poll() is not None:
            raise _Failed(f"the run ended by itself: {_last_line(place)}")
        time.sleep(0.005)
    raise _Failed(f"no step was saved in {_SECONDS} s: {_last_line(place)}")


def _finish(process: subprocess.Popen) -> None:
    if code := process.wait(timeout=_SECONDS):
        raise _Failed(f"a run ended with exit code {code}")


def _last_line(place: Path) -> str:
    lines = (place / "log.txt").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


class _Failed(BmjaxError):
    """The comparison could not be made."""
