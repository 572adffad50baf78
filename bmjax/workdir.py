"""A workdir belongs to one run: its configuration says which."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bmjax.checkpoint import write_json
from bmjax.errors import ConfigError

# Keys that may change between a run and its continuation: they cannot change a number.
HARMLESS = (
    "checkpoint.",
    "logs.",
    "data.threads",
    "data.prefetch",
    "data.root",  # the fingerprint decides whether it is the same data
    "mesh.devices",
)

# What a run leaves before it has noted its configuration.
_OURS = (".lock", "cells")


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"data": {"size": 96}} -> {"data.size": 96}."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def is_finished(workdir: Path, config: dict[str, Any]) -> bool:
    """Whether this very run is done; reads, never writes.

    Raises:
        ConfigError: the workdir is a file or another run's.
    """
    check_owner(workdir, config)
    return (workdir / "report.html").exists()  # written last


def check_owner(workdir: Path, config: dict[str, Any]) -> None:
    """Raise ConfigError unless the workdir is free or this configuration's own."""
    if workdir.exists() and not workdir.is_dir():
        raise ConfigError(
            f"--workdir={str(workdir)!r} is a file; give a folder of this run's own"
        )
    if not workdir.exists():
        return
    stored = workdir / "config.json"
    if not stored.exists():
        if strange := [p.name for p in workdir.iterdir() if p.name not in _OURS]:
            raise ConfigError(
                f"--workdir={str(workdir)!r} holds other files (such as "
                f"{strange[0]!r}) and no config.json; give a new or empty folder"
            )
        return
    try:
        before = flatten(json.loads(stored.read_text()))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{str(stored)!r} cannot be read ({error}); give another --workdir"
        ) from None
    now = flatten(json.loads(json.dumps(config)))
    differing = [
        f"{key} was {before.get(key, 'absent')!r}, is {now.get(key, 'absent')!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not key.startswith(HARMLESS)
    ]
    if differing:
        raise ConfigError(
            f"--workdir={str(workdir)!r} holds another run: "
            f"{'; '.join(differing[:5])}{' ...' if len(differing) > 5 else ''}; "
            "give another --workdir"
        )


@contextlib.contextmanager
def claim(workdir: Path) -> Iterator[None]:
    """Hold the workdir for this process.

    The lock is the operating system's: it goes with the process, however it ends.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = open(workdir / ".lock", "a")  # noqa: SIM115 held while the run lasts
    except OSError as error:
        raise ConfigError(
            f"--workdir={str(workdir)!r} cannot be written: {error.strerror}; give a "
            "folder that can"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"--workdir={str(workdir)!r} is in use by another process; wait for "
                "it, or give another folder"
            ) from None
        yield


def note_config(workdir: Path, config: dict[str, Any]) -> None:
    """Make the workdir this run's own, once its configuration has proved possible."""
    if not (workdir / "config.json").exists():
        write_json(workdir / "config.json", config)
