"""Saved states: Orbax writes the arrays, a manifest says that they are whole.

Orbax neither checks what it reads nor falls back to an older step, so each checkpoint
`N/` gets a manifest `N.json` with the SHA-256 of every file, written last. Only a step
whose manifest agrees counts; the newest such step is the one to go on from.
"""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bmjax.errors import CheckpointError
from bmjax.files import write_json
from bmjax.types import Tree

_KEPT = 2  # the newest, and one to fall back on
_log = logging.getLogger(__name__)


def save(folder: Path, step: int, state: Tree, *, meta: dict[str, Any]) -> None:
    """Write one checkpoint and forget all but the newest two.

    A kill at any moment leaves the older ones as they were. Saving waits until the
    files are there: the arrays are donated to the next step, and an asynchronous
    writer could still be reading them.
    """
    from orbax.checkpoint import v1 as ocp

    target = folder / str(step)
    _manifest(folder, step).unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    ocp.save(target.resolve(), state)
    write_json(
        _manifest(folder, step),
        {"step": step, "meta": meta, "files": _digests(target)},
    )
    for old in sorted(_steps(folder))[:-_KEPT]:
        _manifest(folder, old).unlink(missing_ok=True)
        shutil.rmtree(folder / str(old), ignore_errors=True)


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Return (step, meta) of the newest whole checkpoint, or None where none was made.

    A damaged one is passed over with a warning, never altered.

    Raises:
        CheckpointError: there are checkpoints, but none is whole.
    """
    steps = sorted(_steps(folder), reverse=True)
    for step in steps:
        try:
            manifest = json.loads(_manifest(folder, step).read_text())
            whole = manifest["files"] == _digests(folder / str(step))
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if whole:
            return step, manifest["meta"]
        _log.warning("checkpoint %s is damaged: it is passed over", folder / str(step))
    if steps:
        raise CheckpointError(
            f"no checkpoint in {str(folder)!r} is whole (tried steps "
            f"{', '.join(map(str, steps))}); start anew with another --workdir"
        )
    return None


def restore(folder: Path, step: int, like: Tree) -> Tree:
    """Read a checkpoint into the structure, types and shardings of `like`.

    Raises:
        CheckpointError: the saved arrays are not those of this program.
    """
    from orbax.checkpoint import v1 as ocp

    place = (folder / str(step)).resolve()
    saved, wanted = kinds(ocp.metadata(place).metadata), kinds(like)
    if wrong := [
        f"{name} is {saved.get(name, 'absent')}, expected {wanted.get(name, 'none')}"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]:
        raise CheckpointError(
            f"checkpoint {str(place)!r} does not fit this network and method in "
            f"{len(wrong)} array(s), first {wrong[0]}; use the config that made it, or "
            "another --workdir"
        )
    return ocp.load(place, jax.tree.map(ocp.arrays.to_shape_dtype_struct, like))


def read(folder: Path, step: int, sharding: jax.sharding.Sharding) -> Tree:
    """Read a checkpoint as it was saved, as plain dicts and lists."""
    from orbax.checkpoint import v1 as ocp

    place = (folder / str(step)).resolve()
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        ocp.metadata(place).metadata,
    )
    return ocp.load(place, shapes)


def digest(tree: Tree) -> str:
    """SHA-256 of a tree of arrays: names, types, shapes and values, in name order."""
    hashed = hashlib.sha256()
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    for path, leaf in sorted(leaves, key=lambda item: jax.tree_util.keystr(item[0])):
        array = np.asarray(leaf)
        name = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n"
        hashed.update(name.encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def _manifest(folder: Path, step: int) -> Path:
    return folder / f"{step}.json"


def _steps(folder: Path) -> list[int]:
    """Steps with a manifest; a folder without one was never finished."""
    if not folder.is_dir():
        return []
    return [int(p.stem) for p in folder.glob("*.json") if p.stem.isdigit()]


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {}
    for path in files:
        with open(path, "rb") as file:
            hashed = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = hashed
    return found


def kinds(tree: Tree) -> dict[str, str]:
    """Type and shape of every array, by name: Orbax would cast or pad silently."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): (
            f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"
        )
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }
