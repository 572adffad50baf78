"""Running what is missing: one process a run, stopped and resumed with this one."""

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bmjax.console.signals import SignalReceiver
from bmjax.errors import DONE, INTERRUPTED, STOPPED, ConfigError, DataError
from bmjax.files import write_json
from bmjax.parts.claims import FOLDER, SILENT, Claim, held, holder, take
from bmjax.run.command_line import read_flags
from bmjax.run.workdir import is_finished
from experiments.tables.plans import DEMO_IMAGES, Job, Plan

_NOTE = "experiment.json"
_RUN = "bmjax.main"  # the module that makes one
_LOOK = 0.5  # seconds between two looks at what other workers hold; ours
_CELLS = "cells"  # the claim on drawing them


def claim_for_plan(plan: Plan, *, silent: float = SILENT) -> None:
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
            # Several workers may begin at once.
            with hold_claim(plan.workdir, "experiment", silent=silent):
                if read_note(plan.workdir) is None:
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
        if workdir.exists() and any(not _ours(path) for path in workdir.iterdir()):
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


def _ours(path: Path) -> bool:
    """Whether it may be what another worker has just begun to write."""
    return path.name == FOLDER or path.name.startswith(_NOTE)


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
    return shlex.join(["python", "-m", _RUN, *job.arguments])


def run_missing(
    plan: Plan, todo: Sequence[Job], *, silent: float, aside: bool = False
) -> int:
    """Make every run that is not done; return 0, or the first failure's exit code.

    Other workers may do the same at the same time, on other machines too: each takes
    the next run that no other holds, and all wait for the last one.

    SIGTERM and Ctrl-C are handed to the run, once each, and its exit code is this
    one's: it saves its state, and the same command goes on from there.

    Args:
        plan: of the table.
        todo: its runs.
        silent: seconds without a sign of life after which a worker counts as gone.
        aside: send what is said to standard error.
    """

    def say(text: str) -> None:
        print(text, file=sys.stderr if aside else sys.stdout, flush=True)

    with _Child(2 if aside else None) as child:
        if plan.scale == "demo" and (code := _draw_cells(plan, child, silent, say)):
            return code
        missing: list[tuple[int, Job]] = []
        for number, job in enumerate(todo, start=1):
            if state(job) == "done":
                say(f"[{number} of {len(todo)}] {job.workdir.name}: done before")
            else:
                missing.append((number, job))
        waits: list[str] = []
        while missing:
            left = []
            for number, job in missing:
                place = f"[{number} of {len(todo)}]"
                code = _make_run(
                    plan, job, child, silent, lambda s, p=place: say(p + s)
                )
                if code is None:
                    left.append((number, job))
                elif code:
                    return code
            missing = left
            names = [job.workdir.name for _, job in missing]
            if names and names != waits:
                where = holder(plan.workdir, names[0])
                more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
                say(f"waiting for {names[0]} ({where}){more}")
                waits = names
            if missing and (code := child.wait(_LOOK)):
                return code
    return DONE


def _make_run(
    plan: Plan,
    job: Job,
    child: "_Child",
    silent: float,
    say: Callable[[str], None],
) -> int | None:
    """Make one run; its exit code, or None where another worker holds it."""
    name = job.workdir.name
    claim = take(plan.workdir, name, silent=silent)
    if claim is None:
        return None
    lost: list[str] = []
    with held(claim, lambda: (lost.append(name), child.stop())):
        status = state(job)  # another worker may have made it meanwhile
        if status == "done":
            say(f" {name}: done")
            return DONE
        say(f" {name}{': goes on' * (status == 'begun')}")
        code = child.run([_RUN, *job.arguments])
    if lost and code:
        say(f" {name}: another worker took it over")
        return None
    if code:
        stopped = code in (STOPPED, INTERRUPTED)
        how = "was stopped" if stopped else f"failed with exit code {code}"
        left = "; the same command goes on from there" if stopped else ""
        print(f"bmjax: {name} {how}{left}", file=sys.stderr)
    return code


@contextlib.contextmanager
def hold_claim(workdir: Path, name: str, *, silent: float) -> Iterator[None]:
    """Wait until no other worker holds the claim of this name, and hold it."""
    claim: Claim | None = None
    while claim is None:
        claim = take(workdir, name, silent=silent)
        if claim is None:
            time.sleep(_LOOK)
    with held(claim, lambda: None):
        yield


def _draw_cells(
    plan: Plan, child: "_Child", silent: float, say: Callable[[str], None]
) -> int:
    while not plan.data.exists():
        claim = take(plan.workdir, _CELLS, silent=silent)
        if claim is None:
            if code := child.wait(_LOOK):
                return code
            continue
        with held(claim, child.stop):
            if plan.data.exists():
                break
            say(f"drawing {DEMO_IMAGES:,} synthetic cells into {plan.data}")
            drawing = ("synthesize", str(plan.data), "--images", str(DEMO_IMAGES))
            code = child.run(["bmjax.data", *drawing])
        if code:
            return code
    return DONE


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

    def run(self, module: list[str]) -> int:
        """Wait for a module that runs as a command; its exit code, or the signal's."""
        if not self._signal:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "experiments.tables.watched", *module],
                process_group=0,
                stdin=subprocess.PIPE,  # never written to: it ends with this process
                stdout=self._stdout,
            )
            if self._signal:  # it came while the process started
                self._process.send_signal(self._signal)
            with self._process.stdin:
                code = self._process.wait()
            if not self._signal or code > 0:
                return code if code >= 0 else 128 - code
        return self._stopped()

    def stop(self) -> None:
        """Ask the process that runs, if any, to save and end; from any thread."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> int:
        """Sleep; return the exit code of a signal that has come, or 0."""
        if not self._signal:
            time.sleep(seconds)
        return self._stopped() if self._signal else DONE

    def _stopped(self) -> int:
        return INTERRUPTED if self._signal == signal.SIGINT else STOPPED
