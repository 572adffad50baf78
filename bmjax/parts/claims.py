"""Who makes which run or part, where several commands or machines share a folder.

A claim is a file that one worker alone can make. Its holder renews it while it works;
one that was not renewed for a while belongs to a worker that is gone, and another takes
it over. The times are those of the file system that holds the claims, so that clocks of
machines need not agree, and nothing rests on locks, which not every network file system
has. A run's own lock (`bmjax.run.workdir.claim`) is a second guard where there is one.
"""

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bmjax.files import read_json_object

FOLDER = ".claims"
# Seconds without a sign of life until a worker counts as gone. NFS may show attributes
# that are 60 seconds old; the rest is ours.
SILENT = 300.0
_RENEWALS = 6  # within that time


class Claim(NamedTuple):
    """A claim that this process holds."""

    path: Path
    token: str
    silent: float


def take(
    folder: Path, name: str, *, silent: float = SILENT, alone: bool = False
) -> Claim | None:
    """Claim what has this name; None where a living worker holds it.

    Args:
        folder: of the runs.
        name: of a run, a valid file name.
        silent: seconds after which a claim that is not renewed is taken over.
        alone: the workers have no processes of their own that could outlive them: what
            a process of this machine held that is no more is taken over at once.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    claim = Claim(path, uuid.uuid4().hex, silent)
    if _make(path, claim.token):
        return claim
    # Who takes over holds a second claim meanwhile, so that only one does.
    taking = path.with_name(f"{path.name}.taken-over")
    age = _age(path, claim.token)
    if age is not None and age < silent and not (alone and _ended_here(path)):
        return None
    if not _make(taking, claim.token):
        if (_age(taking, claim.token) or 0.0) > silent:  # killed in the middle of it
            taking.unlink(missing_ok=True)
        return None
    try:
        age = _age(path, claim.token)
        if age is None:  # released meanwhile
            return claim if _make(path, claim.token) else None
        if age < silent and not (alone and _ended_here(path)):  # taken over meanwhile
            return None
        written = path.with_name(f"{path.name}.{claim.token}")
        _make(written, claim.token)
        os.replace(written, path)
        return claim
    finally:
        taking.unlink(missing_ok=True)


def holder(folder: Path, name: str) -> str:
    """Which worker holds a claim, in words."""
    try:
        content = read_json_object(folder / FOLDER / f"{name}.json")
        return f"{content['host']}, process {content['process']}"
    except (OSError, ValueError, KeyError):
        return "another worker"


@contextlib.contextmanager
def held(claim: Claim, lost: Callable[[], None]) -> Iterator[None]:
    """Renew a claim inside the `with`, and release it after.

    Args:
        claim: of `take`.
        lost: called once, from a thread, where another worker has taken it over, as
            after this one was suspended.
    """
    over = threading.Event()

    def renew() -> None:
        while not over.wait(claim.silent / _RENEWALS):
            try:
                if _token(claim.path) == claim.token:
                    os.utime(claim.path)
                else:
                    return lost()
            except OSError:  # the file system does not answer: the next time perhaps
                continue

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if _token(claim.path) == claim.token:
            claim.path.unlink(missing_ok=True)


def _make(path: Path, token: str) -> bool:
    """Make the file of a claim; whether there was none."""
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    content = {"token": token, "host": socket.gethostname(), "process": os.getpid()}
    with open(number, "w") as file:
        json.dump(content, file)
    return True


def _ended_here(path: Path) -> bool:
    """Whether a claim is of a process of this machine that is no more."""
    try:
        content = read_json_object(path)
        if content["host"] != socket.gethostname():
            return False
        os.kill(int(content["process"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return False


def _token(path: Path) -> str:
    """Of the claim that stands in a file; "" where there is none, or none yet."""
    try:
        return str(read_json_object(path).get("token", ""))
    except (OSError, ValueError):
        return ""


def _age(path: Path, token: str) -> float | None:
    """Seconds since a claim was renewed, by the clock of its file system."""
    clock = path.with_name(f"clock.{token}")
    clock.touch()
    try:
        return clock.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return None
    finally:
        clock.unlink(missing_ok=True)
