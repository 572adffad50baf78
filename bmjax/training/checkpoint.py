"""Saved states: Orbax writes the arrays, a manifest says that they are whole.

Orbax neither checks what it reads nor falls back to an older step, so each checkpoint
`N/` gets a manifest `N.json` with the SHA-256 of every file, written last. Only a step
whose manifest agrees counts; the newest such step is the one to go on from.

A save writes `N.staged/`, then `N.manifest`, and renames both; what is removed is
renamed to `N.deleted/` first. So whatever a kill leaves says by its name what it is,
and `recover` ends what had begun. What is damaged goes to `damaged/`.

Orbax cannot write an array without elements, such as an empty queue. The manifest names
those with their types and shapes, and Orbax's tree has None in their places.
"""

import errno
import hashlib
import logging
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bmjax.devices.mesh import place
from bmjax.devices.processes import from_first, is_first, meet
from bmjax.errors import CheckpointError
from bmjax.faults import reached
from bmjax.files import describe_os_error, free_space, write_json
from bmjax.training.leftovers import (
    finish_begun,
    remove_checkpoint,
    remove_leftovers,
    set_aside,
    steps_without_manifest,
)
from bmjax.training.manifest import (
    file_digests,
    make_manifest,
    manifest_path,
    manifest_steps,
    read_manifest,
    whole_manifest,
)
from bmjax.types import Tree

_KEPT = 2  # the newest, and one to fall back on
_MB = 1e6
# Of a checkpoint beside its arrays: files of fixed size, and a description of each
# array (measured: 60,000 in all for 20 arrays).
_FIXED_BYTES = 2**17
_LEAF_BYTES = 2**10
# What TensorStore, whose errors are no OSError, says when a file cannot be written.
_DISK_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "Read-only file system",
    "Permission denied",
    "Input/output error",
)
_log = logging.getLogger(__name__)


def save(
    folder: Path,
    step: int,
    state: Tree,
    *,
    meta: dict[str, Any],
    keep: Callable[[int], bool] = lambda step: False,
) -> None:
    """Write one checkpoint and forget all but the newest two and those to keep.

    A kill at any moment leaves the older ones as they were. Saving waits until the
    files are there: the arrays are donated to the next step, and an asynchronous
    writer could still be reading them. Where the step has been saved as it is now, as
    after a resume, its arrays stay and only its manifest is written anew.

    Of several processes all call this, since Orbax has them write together; what is not
    an array's is the first one's work.

    Args:
        folder: of the checkpoints.
        step: of this one.
        state: what is saved.
        meta: saved with it, as JSON takes it.
        keep: step -> whether its checkpoint is to stay, however old it is.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written.
    """
    from orbax.checkpoint import v1 as ocp

    # Orbax's threads log, with tracebacks and late, the errors that it raises as well.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    target, staged = folder / str(step), folder / f"{step}.staged"
    manifest, hashed = folder / f"{step}.manifest", _state_digest(state)

    def prepare() -> dict[str, str] | None:
        """Make room; return the files of this very state where they are there."""
        reached("checkpoint.begun", step)
        remove_leftovers(folder, step)
        there = whole_manifest(folder, step)
        if there is not None and there.get("state_sha256", hashed) == hashed:
            return there["files"]
        set_aside(folder, step)
        # Before Orbax begins, whose threads print what they meet on a full disk.
        if free_space(folder) < _disk_bytes(state):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return None

    try:
        files = from_first(prepare)
        if files is None:
            with _uncompressed():
                ocp.save(staged.resolve(), _without_empty(state))
            reached("checkpoint.staged", step)
        if not is_first():
            return meet()
        files = files or file_digests(staged)
        write_json(
            manifest,
            make_manifest(
                step, meta=meta, empty=_empty(state), files=files, state_sha256=hashed
            ),
        )
        if staged.exists():
            staged.rename(target)
        reached("checkpoint.renamed", step)
        manifest.replace(manifest_path(folder, step))
    except Exception as error:
        cause = _cause_on_disk(error)
        if not cause:
            raise
        # What is half written is no checkpoint, and takes the space of the next one.
        remove_leftovers(folder, step)
        raise CheckpointError(
            f"checkpoint {str(target)!r} cannot be written: {cause} (it takes "
            f"{_disk_bytes(state) / _MB:,.1f} MB, {free_space(folder) / _MB:,.1f} MB "
            "are free); make room and start the same command again, which goes on "
            "from the last whole checkpoint, or give another --workdir"
        ) from None
    reached("checkpoint.saved", step)
    for old in [old for old in manifest_steps(folder) if old <= step][:-_KEPT]:
        if not keep(old):
            remove_checkpoint(folder, old)
    meet()


def _uncompressed() -> AbstractContextManager:
    """Orbax's settings with which a save writes the arrays as they are.

    Trained numbers compress by a twelfth, which takes longer than all else in a save.
    """
    from orbax.checkpoint import v1 as ocp

    context = ocp.Context()
    context.array.saving.use_compression = False
    return context


def recover(folder: Path, say: Callable[[str], None]) -> tuple[int, dict] | None:
    """Put the folder of a run that goes on in order, and return what `newest` returns.

    For the holder of the workdir's lock alone. A save that had all but its name is
    given it, what other killed saves and removals left is removed, and checkpoints that
    are damaged, newer than the one to go on from or without a manifest are set aside.

    Args:
        folder: of the checkpoints; it need not exist.
        say: takes a line for each that is set aside.

    Raises:
        CheckpointError: there are checkpoints, but none is whole, or a later version
            wrote the newest; all are left as they are.
    """
    if not folder.is_dir():
        return None
    finish_begun(folder)
    found = newest(folder)
    bare = steps_without_manifest(folder)
    if found is None and bare:
        raise CheckpointError(
            f"no checkpoint in {str(folder)!r} is whole: the manifest(s) of step(s) "
            f"{', '.join(map(str, bare))} (such as {bare[0]}.json) are gone; put them "
            "back, or start anew with another --workdir"
        )
    if found is not None:
        later = [step for step in manifest_steps(folder) if step > found[0]]
        for step in sorted({*later, *bare}):
            place = set_aside(folder, step)
            say(
                f"warning: checkpoint {step:,} is damaged or not complete: it is set "
                f"aside in {str(place)!r}"
            )
    return found


def state_bytes(state: Tree) -> int:
    """Bytes of all arrays of a state, also of one of shapes."""
    return sum(
        math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize
        for leaf in jax.tree.leaves(state)
    )


def check_space(
    folder: Path, state: Tree, say: Callable[[str], None], *, kept: int = 0
) -> None:
    """Hold the size of a checkpoint against the disk's free space, before step 1.

    Warns where one fits but not all that are there at once: the newest two, the one
    that is being written, and those that are kept.

    Args:
        folder: of the checkpoints; it need not exist yet.
        state: what is saved.
        say: takes the warning.
        kept: how many are kept besides the newest two, at the end.

    Raises:
        CheckpointError: not one checkpoint fits.
    """
    size, free = _disk_bytes(state), free_space(folder)
    if free < size:
        raise CheckpointError(
            f"a checkpoint takes {size / _MB:,.1f} MB, but the disk of {str(folder)!r} "
            f"has {free / _MB:,.1f} MB free; make room, or give another --workdir"
        )
    needed = size * max(_KEPT + 1 + kept - len(manifest_steps(folder)), 1)
    if free < needed:
        say(
            f"warning: the disk of {str(folder)!r} has {free / _MB:,.1f} MB free, and "
            f"the checkpoints of this run take up to {needed / _MB:,.1f} MB more"
        )


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Return (step, meta) of the newest whole checkpoint, or None where none was made.

    A damaged one is passed over with a warning, never altered.

    Raises:
        CheckpointError: there are checkpoints, but none is whole, or a later version
            of bmjax wrote the newest.
    """
    steps = manifest_steps(folder)[::-1]
    for step in steps:
        meta = whole(folder, step)
        if meta is not None:
            return step, meta
        _log.warning("checkpoint %s is damaged: it is passed over", folder / str(step))
    if steps:
        raise CheckpointError(
            f"no checkpoint in {str(folder)!r} is whole (tried steps "
            f"{', '.join(map(str, steps))}); start anew with another --workdir"
        )
    return None


def whole(folder: Path, step: int) -> dict[str, Any] | None:
    """Return the meta of a step's checkpoint; None where it is damaged or not there."""
    found = whole_manifest(folder, step)
    return None if found is None else found["meta"]


def check_whole(folder: Path, step: int, metric: str) -> None:
    """Raise CheckpointError unless the step that was chosen by a metric is whole."""
    if whole(folder, step) is None:
        there = ", ".join(map(str, manifest_steps(folder))) or "none"
        raise CheckpointError(
            f"checkpoint {step} in {str(folder)!r}, the best by validation "
            f"{metric}, is damaged or no longer there (there are: {there}); set "
            "--config.checkpoint.best='' to take the last step, or train again in "
            "another --workdir"
        )


def restore(folder: Path, step: int, like: Tree) -> Tree:
    """Read a checkpoint into the structure, types and shardings of `like`.

    Raises:
        CheckpointError: the saved arrays are not those of this program.
    """
    from orbax.checkpoint import v1 as ocp

    source = (folder / str(step)).resolve()
    saved = kinds(ocp.metadata(source).metadata) | {
        name: f"{dtype}{shape}"
        for name, (dtype, shape) in _read_empty(folder, step).items()
    }
    wanted = kinds(like)
    if wrong := [
        f"{name} is {saved.get(name, 'absent')}, expected {wanted.get(name, 'none')}"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]:
        raise CheckpointError(
            f"checkpoint {str(source)!r} does not fit this network and method in "
            f"{len(wrong)} array(s), first {wrong[0]}; use the config that made it, or "
            "another --workdir"
        )
    leaves, structure = jax.tree.flatten(like)
    loaded = ocp.load(
        source,
        jax.tree.map(ocp.arrays.to_shape_dtype_struct, _without_empty(like)),
    )
    arrays = iter(jax.tree.leaves(loaded))
    filled = [
        next(arrays) if math.prod(leaf.shape) else _zeros_as(leaf) for leaf in leaves
    ]
    restored = jax.tree.unflatten(structure, filled)
    _check_restored(folder, step, restored)
    return restored


def read(folder: Path, step: int, sharding: jax.sharding.Sharding) -> Tree:
    """Read a checkpoint as it was saved, as plain dicts and lists.

    Raises:
        CheckpointError: what is read is not what was saved.
    """
    from orbax.checkpoint import v1 as ocp

    source = (folder / str(step)).resolve()
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        ocp.metadata(source).metadata,
    )
    empty = _read_empty(folder, step)

    def filled(path: tuple, leaf: Any) -> Any:
        if leaf is not None or (name := _name(path)) not in empty:
            return leaf
        dtype, shape = empty[name]
        return place(jnp.zeros(shape, dtype), sharding)

    found = jax.tree_util.tree_map_with_path(
        filled, ocp.load(source, shapes), is_leaf=lambda leaf: leaf is None
    )
    _check_restored(folder, step, found)
    return found


def digest(tree: Tree) -> str:
    """SHA-256 of a tree of arrays: names, types, shapes and values, in name order."""
    hashed = hashlib.sha256()
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    for path, leaf in sorted(leaves, key=lambda item: jax.tree_util.keystr(item[0])):
        array = np.asarray(leaf)
        name = f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n"
        hashed.update(name.encode())
        # The array's own bytes: a copy of them takes as long as their digest.
        hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


def _check_restored(folder: Path, step: int, state: Tree) -> None:
    """Hold restored arrays against the digest of those that were saved."""
    saved = (read_manifest(folder, step) or {}).get("state_sha256")
    if saved is not None and saved != (found := _state_digest(state)):
        raise CheckpointError(
            f"the arrays read from checkpoint {str(folder / str(step))!r} are not "
            f"those that were saved (digest {found[:12]}, expected {saved[:12]}), "
            "though its files are whole; start the same command again, and with "
            "another --workdir where that ends here too"
        )


def _state_digest(state: Tree) -> str:
    """Digest of a state by its arrays' names, whatever holds them."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return digest({_name(path): leaf for path, leaf in leaves})


def _disk_bytes(state: Tree) -> int:
    """Bytes that a checkpoint takes on the disk, and some to spare."""
    return state_bytes(state) + _FIXED_BYTES + _LEAF_BYTES * len(jax.tree.leaves(state))


def kinds(tree: Tree) -> dict[str, str]:
    """Type and shape of every array, by name: Orbax would cast or pad silently."""
    return {
        _name(path): f"{np.dtype(leaf.dtype)}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    }


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _without_empty(tree: Tree) -> Tree:
    """None in the place of every array without elements."""
    return jax.tree.map(lambda leaf: leaf if math.prod(leaf.shape) else None, tree)


def _empty(tree: Tree) -> dict[str, list]:
    """Type and shape of every array without elements, by name."""
    return {
        _name(path): [str(np.dtype(leaf.dtype)), list(leaf.shape)]
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
        if not math.prod(leaf.shape)
    }


def _read_empty(folder: Path, step: int) -> dict[str, list]:
    """What `_empty` gave at the save; an older checkpoint has no such arrays."""
    return (read_manifest(folder, step) or {}).get("empty", {})


def _zeros_as(leaf: Any) -> jax.Array:
    zeros, sharding = jnp.zeros(leaf.shape, leaf.dtype), getattr(leaf, "sharding", None)
    return zeros if sharding is None else place(zeros, sharding)


def _cause_on_disk(error: Exception) -> str:
    """Why a file could not be written; "" for any other error."""
    if isinstance(error, OSError):
        return describe_os_error(error)
    text = f"{error} {error.__cause__ or ''}"
    return next((words for words in _DISK_WORDS if words in text), "")
