"""Running what is missing: one process a run, stopped and resumed with this one."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bmjax.console.signals import SignalReceiver
from bmjax.errors import DONE, INTERRUPTED, STOPPED, ConfigError, DataError
from bmjax.files import write_json
from bmjax.run.command_line import read_flags
from bmjax.run.workdir import is_finished
from experiments.tables.plans import DEMO_IMAGES, Job, Plan

_NOTE = "experiment.json"


def claim_for_plan(plan: Plan) -> None:
    """Make the workdir this experiment's, or see that it is.

    Tables of one scale and one data set share a workdir, and with it their runs.

    Raises:
        ConfigError: the workdir is a file, another experiment's, or something else's.
        DataError: there is no such data folder.
    """
    note = read_note(plan.workdir)
    ours = {"scale": plan.scale, "exclude": list(plan.exclude)}
    if note is not None and note != ours:
        differing = next(key for key in ours if note.get(key) != ours[key])
        raise ConfigError(
            f"--workdir={str(plan.workdir)!r} holds another experiment: {differing} "
            f"was {note.get(differing)!r}, is {ours[differing]!r}; give another "
            "--workdir"
        )
    if plan.scale != "demo" and not plan.data.is_dir():
        raise DataError(
            f"--data={str(plan.data)!r} is no folder; give the one that holds a folder "
            "of images for each class"
        )
    if note is None:
        try:
            plan.workdir.mkdir(parents=True, exist_ok=True)
            write_json(plan.workdir / _NOTE, ours)
        except OSError as error:
            raise ConfigError(
                f"--workdir={str(plan.workdir)!r} cannot be written: "
                f"{error.strerror}; give a folder that can"
            ) from None


def read_note(workdir: Path) -> dict | None:
    """What experiment a workdir holds; None where it is free.

    Raises:
        ConfigError: it is a file, or holds other files.
    """
    if workdir.exists() and not workdir.is_dir():
        raise ConfigError(f"--workdir={str(workdir)!r} is a file; give a folder")
    note = workdir / _NOTE
    if not note.exists():
        if workdir.exists() and any(workdir.iterdir()):
            raise ConfigError(
                f"--workdir={str(workdir)!r} holds other files and no {_NOTE}; give a "
                "new or empty folder"
            )
        return None
    try:
        content = json.loads(note.read_text())
        return {"scale": content["scale"], "exclude": content["exclude"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{str(note)!r} cannot be read; give another --workdir"
        ) from None


def state(job: Job) -> str:
    """Whether a run is "done", "begun" or "new"; reads, never writes.

    Raises:
        ConfigError: its arguments are wrong, or its folder is another run's.
    """
    config, workdir = read_flags(job.arguments)
    if is_finished(workdir, config.to_dict()):
        return "done"
    return "begun" if (workdir / "config.json").exists() else "new"


def command_line(job: Job) -> str:
    """The command that makes this run, as a line to paste."""
    return shlex.join(["python", "-m", "bmjax.main", *job.arguments])


def run_missing(plan: Plan, todo: Sequence[Job], *, aside: bool = False) -> int:
    """Make every run that is not done; return 0, or the first failure's exit code.

    SIGTERM and Ctrl-C are handed to the run, once each, and its exit code is this
    one's: it saves its state, and the same command goes on from there. `aside` sends
    what is said to standard error.
    """

    def say(text: str) -> None:
        print(text, file=sys.stderr if aside else sys.stdout, flush=True)

    with _Child(2 if aside else None) as child:
        if plan.scale == "demo" and (code := _draw_cells(plan, child, say)):
            return code
        for number, job in enumerate(todo, start=1):
            name = job.workdir.name
            status = state(job)
            if status == "done":
                say(f"[{number} of {len(todo)}] {name}: done before")
                continue
            say(f"[{number} of {len(todo)}] {name}{': goes on' * (status == 'begun')}")
            arguments = [sys.executable, "-m", "bmjax.main", *job.arguments]
            if code := child.run(arguments):
                stopped = code in (STOPPED, INTERRUPTED)
                how = "was stopped" if stopped else f"failed with exit code {code}"
                left = "; the same command goes on from there" if stopped else ""
                print(f"bmjax: {name} {how}{left}", file=sys.stderr)
                return code
    return DONE


def _draw_cells(plan: Plan, child: "_Child", say: Callable[[str], None]) -> int:
    if plan.data.exists():
        return DONE
    say(f"drawing {DEMO_IMAGES:,} synthetic cells into {plan.data}")
    drawing = ("-m", "bmjax.data", "synthesize", str(plan.data))
    return child.run([sys.executable, *drawing, "--images", str(DEMO_IMAGES)])


class _Child(SignalReceiver):
    """A process at a time, in a group of its own, with this one's signals handed on.

    A terminal sends Ctrl-C to every process of the group in front: a run would get it
    twice, from the terminal and from here, and the second one does not wait.
    """

    def __init__(self, stdout: int | None):
        self._stdout = stdout
        self._process: subprocess.Popen | None = None
        self._signal = 0

    def _receive(self, number: int, frame) -> None:
        del frame
        self._signal = number
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def run(self, arguments: list[str]) -> int:
        """Wait for a process and return its exit code, or that of the signal."""
        if not self._signal:
            self._process = subprocess.Popen(
                arguments, process_group=0, stdout=self._stdout
            )
            if self._signal:  # it came while the process started
                self._process.send_signal(self._signal)
            code = self._process.wait()
            if not self._signal or code > 0:
                return code if code >= 0 else 128 - code
        return INTERRUPTED if self._signal == signal.SIGINT else STOPPED
