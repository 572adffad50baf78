"""One run that is started, disturbed and started again until it ends."""

import contextlib
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.errors import DONE, DataError
from bmjax.faults import VARIABLE
from bmjax.soak.disturbances import Disturbance, draw
from bmjax.training.manifest import manifest_steps

_TIMES = ("seconds", "images_per_second")  # of results.json, which differ every time
_PATIENCE = 60.0, 10.0  # seconds, and undisturbed runs, that a start may take; ours
_MOST = 8  # disturbances of one run; ours
_DEVICES = (1, 2, 4)
_OTHERS = 30.0  # seconds that they may take after the first has ended; ours
_HEARTBEAT = 5  # seconds after which a killed process counts as gone; ours
_CLOSE = 1e-5  # between parameters of runs on other numbers of devices


class TrialFailed(DataError):
    """A run that did not end as it should have."""


class Undisturbed(NamedTuple):
    """The run that every trial has to end as.

    Attributes:
        command: arguments of `bmjax.main`, without --workdir.
        saves: steps at which it saves.
        workdir: where it was done.
        seconds: that it took.
    """

    command: list[str]
    saves: list[int]
    workdir: Path
    seconds: float


class Done(NamedTuple):
    """What was done to a run: its name, in words, and whether it came in time."""

    name: str
    words: str
    struck: bool


class Started(NamedTuple):
    """The processes of a start; the first is the one that is disturbed."""

    all: list[subprocess.Popen]

    @property
    def first(self) -> subprocess.Popen:
        """Process 0, or the only one."""
        return self.all[0]


def start_run(
    command: Sequence[str], workdir: Path, *, fault: str = "", processes: int = 1
) -> Started:
    """Start a run in a session of its own: a terminal's Ctrl-C does not reach it.

    What it says is added to a file beside the workdir.

    Args:
        command: of `Undisturbed`, with what this start adds.
        workdir: of the run.
        fault: of the first process.
        processes: 1 or more, on this machine.
    """
    if processes == 1:
        return Started([_start(command, workdir, fault)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:{1}".format(*free.getsockname())
    several = [
        *command,
        f"--config.mesh.coordinator={address}",
        f"--config.mesh.processes={processes}",
        f"--config.mesh.heartbeat={_HEARTBEAT}",
    ]
    return Started(
        [
            _start(
                [*several, f"--config.mesh.process={number}"],
                workdir,
                fault if number == 0 else "",
            )
            for number in range(processes)
        ]
    )


def _start(command: Sequence[str], workdir: Path, fault: str) -> subprocess.Popen:
    with open(workdir.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bmjax.main", *command, f"--workdir={workdir}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, VARIABLE: fault},
        )


def run_trial(
    like: Undisturbed,
    workdir: Path,
    chance: random.Random,
    done: list[Done],
    *,
    any_devices: bool,
) -> None:
    """Start a run, disturb it some times, and start it again until it has ended.

    Args:
        like: how it has to end.
        workdir: of this trial.
        chance: draws the disturbances.
        done: gets what was done to it.
        any_devices: each start has another number of devices and of processes; then
            the parameters may differ by rounding.

    Raises:
        TrialFailed: it ended otherwise, or not at all.
    """
    for _ in range(chance.randint(1, _MOST)):
        newest = max([0, *manifest_steps(workdir / "checkpoints")])
        drawn = draw(chance, saves=[step for step in like.saves if step > newest])
        if _disturb(like, workdir, drawn, chance, done, any_devices=any_devices):
            break
    command, processes = _command(like, chance, any_devices=any_devices)
    code = _end(start_run(command, workdir, processes=processes), like, workdir)
    if code != DONE:
        raise TrialFailed(f"the start that was not disturbed has exit code {code}")
    if any_devices:
        _check_close(like.workdir, workdir)
    else:
        _check_equal(like.workdir, workdir)


def _disturb(
    like: Undisturbed,
    workdir: Path,
    drawn: Disturbance,
    chance: random.Random,
    done: list[Done],
    *,
    any_devices: bool,
) -> bool:
    """Start the run and disturb it once; return whether it was done before that."""
    command, processes = _command(like, chance, any_devices=any_devices)
    started = start_run(command, workdir, fault=drawn.fault, processes=processes)
    words = [drawn.name, drawn.fault, *command[len(like.command) :]]
    if processes > 1:
        words.append(f"{processes} processes")
    if drawn.number:
        moment = drawn.share * like.seconds
        words.append(f"after {moment:.1f} s")
        try:
            started.first.wait(moment)
        except subprocess.TimeoutExpired:
            started.first.send_signal(drawn.number)
    code = _end(started, like, workdir)
    struck = code != DONE
    if struck and drawn.damage and code in drawn.codes:
        what = drawn.damage(workdir / "checkpoints", chance)
        words.append(what or "nothing to damage yet")
        struck = bool(what)
    done.append(Done(drawn.name, " ".join(filter(None, words)), struck))
    if code not in (DONE, *drawn.codes):
        raise TrialFailed(f"{drawn.name} has exit code {code}")
    return code == DONE


def _command(
    like: Undisturbed, chance: random.Random, *, any_devices: bool
) -> tuple[list[str], int]:
    """The command of a start, and how many processes it has."""
    if not any_devices:
        return like.command, 1
    devices = chance.choice(_DEVICES)
    command = [*like.command, f"--config.mesh.devices={devices}"]
    return command, chance.choice((1, 2)) if devices > 1 else 1


def _end(started: Started, like: Undisturbed, workdir: Path) -> int:
    """Wait for the processes; return the exit code of the first."""
    seconds, runs = _PATIENCE
    try:
        started.first.wait(seconds + runs * like.seconds)
        # One whose first process was gone before they met waits for it, for minutes.
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in started.all[1:]:
                process.wait(_OTHERS)
    except subprocess.TimeoutExpired:
        raise TrialFailed("a start did not end") from None
    finally:
        for process in started.all:
            process.kill()  # also when this process is stopped
            process.wait()
    if len(started.all) > 1:
        _wait_for_lock(workdir, seconds)
    code = started.first.returncode
    # A process that was killed behind the one that waits for it.
    return -signal.SIGKILL if code == 128 + signal.SIGKILL else code


def _wait_for_lock(workdir: Path, seconds: float) -> None:
    """Wait until what a killed process started has noticed that, and ended too."""
    end = time.monotonic() + seconds
    while (workdir / ".lock").exists() and time.monotonic() < end:
        with open(workdir / ".lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
            else:
                return


def _results(workdir: Path) -> dict[str, Any]:
    found = json.loads((workdir / "results.json").read_text())
    return {key: value for key, value in found.items() if key not in _TIMES}


def _check_equal(expected: Path, workdir: Path) -> None:
    """Raise TrialFailed unless the digest of the parameters and all results agree."""
    right, found = _results(expected), _results(workdir)
    if others := [key for key in right if found.get(key) != right[key]]:
        raise TrialFailed(
            f"the run ended with digest {found['params_sha256'][:12]}, expected "
            f"{right['params_sha256'][:12]}; other results: {', '.join(others)}"
        )


def _check_close(expected: Path, workdir: Path) -> None:
    """Raise TrialFailed unless all parameters agree to rounding."""
    import jax
    import numpy as np

    from bmjax.training import checkpoint

    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    right, found = (
        checkpoint.read(folder, manifest_steps(folder)[-1], sharding)["params"]
        for folder in (expected / "checkpoints", workdir / "checkpoints")
    )
    apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), right, found)
    if (most := max(jax.tree.leaves(apart))) > _CLOSE:
        raise TrialFailed(
            f"a parameter differs by {most:.2g} from the one on one device, expected "
            f"at most {_CLOSE:g}"
        )
