"""What stands in a folder of checkpoints besides whole ones, and how it is told apart.

A save writes `N.staged/`, then `N.manifest`, and renames them to `N/` and `N.json`;
what is removed is renamed to `N.deleted/` first. So whatever a kill leaves says by its
name what it is. What is damaged goes to `damaged/` and is never deleted.
"""

import re
import shutil
from pathlib import Path

from bmjax.faults import reached
from bmjax.training.manifest import (
    file_digests,
    manifest_path,
    manifest_steps,
    read_manifest,
)

_DAMAGED = "damaged"  # folder of what is set aside
# Ours and Orbax's, also of earlier versions; never a whole checkpoint.
_LEFT = re.compile(
    r"(\d+)\.(staged|deleted|orbax-checkpoint-tmp|manifest|json\.part)\b.*"
)


def finish_begun(folder: Path) -> None:
    """Give a save that had all but its name its name, and end killed removals."""
    for path in list(folder.iterdir()):
        if not (match := _LEFT.fullmatch(path.name)):
            continue
        step = int(match[1])
        arrays, manifest = folder / str(step), manifest_path(folder, step)
        if path.name == f"{step}.manifest" and not manifest.exists():
            found = read_manifest(folder, step, path.name)
            if found and found["files"] == file_digests(arrays):
                path.replace(manifest)
        if path.name == f"{step}.deleted" and not arrays.exists():
            manifest.unlink(missing_ok=True)
    remove_leftovers(folder)


def set_aside(folder: Path, step: int) -> Path | None:
    """Move what there is of a step to `damaged/`; return where, None: nothing was."""
    parts = [folder / str(step), manifest_path(folder, step)]
    there = [part for part in parts if part.exists()]
    if not there:
        return None
    number = 1
    while (place := folder / _DAMAGED / f"{step}-{number}").exists():
        number += 1
    place.mkdir(parents=True)
    for part in there:
        part.rename(place / part.name)
    return place


def steps_without_manifest(folder: Path) -> list[int]:
    """Steps with arrays and no manifest; folders without a file are taken away."""
    known, bare = manifest_steps(folder), []
    for path in folder.iterdir():
        if path.name.isdecimal() and path.is_dir() and int(path.name) not in known:
            if any(part.is_file() for part in path.rglob("*")):
                bare.append(int(path.name))
            else:
                shutil.rmtree(path, ignore_errors=True)
    return sorted(bare)


def remove_checkpoint(folder: Path, step: int) -> None:
    """Remove a whole checkpoint; a kill leaves what `recover` knows for such."""
    deleted = folder / f"{step}.deleted"
    if (folder / str(step)).exists():
        shutil.rmtree(deleted, ignore_errors=True)
        (folder / str(step)).rename(deleted)
    reached("checkpoint.removing", step)
    manifest_path(folder, step).unlink(missing_ok=True)
    shutil.rmtree(deleted, ignore_errors=True)


def remove_leftovers(folder: Path, step: int | None = None) -> None:
    """Remove what killed or failed saves and removals left, of one step or all."""
    if not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        match = _LEFT.fullmatch(path.name)
        if not match or step not in (None, int(match[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
