"""What says that a checkpoint is whole: its manifest.

`N.json` beside the arrays `N/` has the step, what the run wants to know again (`meta`),
the SHA-256 of every file, and the SHA-256 of its own content. Every format, also a
later one, has `format` and `written_by`, by which an older program refuses it.
"""

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import bmjax
from bmjax.errors import CheckpointError
from bmjax.files import describe_os_error, file_sha256

_FORMAT = 1
_OWN = "manifest_sha256"
# A permission that is missing, and too many open files.
_NO_DAMAGE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE)


def manifest_path(folder: Path, step: int) -> Path:
    """Where the manifest of a step is."""
    return folder / f"{step}.json"


def manifest_steps(folder: Path) -> list[int]:
    """Steps with a manifest; a folder of arrays without one was never finished."""
    if not folder.is_dir():
        return []
    found = (p for p in folder.glob("*.json") if p.stem.isdecimal() and p.is_file())
    return sorted(
        int(path.stem) for path in found if path.name == f"{int(path.stem)}.json"
    )


def make_manifest(step: int, **content: Any) -> dict[str, Any]:
    """The content of a manifest, with what protects it.

    Args:
        step: of the checkpoint.
        content: `meta`, `empty`, `files` and `state_sha256`, as JSON takes them.
    """
    made = {
        "format": _FORMAT,
        "written_by": bmjax.__version__,
        "step": step,
        **json.loads(json.dumps(content)),
    }
    return {**made, _OWN: _digest(made)}


def read_manifest(folder: Path, step: int, name: str = "") -> dict[str, Any] | None:
    """Return a step's manifest, its files unread; None: it is damaged or not there.

    Args:
        folder: of the checkpoints.
        step: which has to be the manifest's own.
        name: of the file; "": the place of a manifest.

    Raises:
        CheckpointError: a later version of bmjax wrote it.
    """
    path = folder / name if name else manifest_path(folder, step)
    try:
        found = json.loads(path.read_text())
        writer, form = found.get("written_by"), found.get("format", 0)
        # This version never writes a later format: such a number is damage.
        newer = form > _FORMAT and writer != bmjax.__version__
    except OSError as error:
        _check_readable(path, error)
        return None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if newer:
        raise CheckpointError(
            f"checkpoint {str(path)!r} was written by bmjax {writer} in format {form}, "
            f"and this is bmjax {bmjax.__version__}, which reads formats up to "
            f"{_FORMAT}; use bmjax {writer} or later, or another --workdir"
        )
    content = {key: value for key, value in found.items() if key != _OWN}
    # Formats of before 1 had neither; one flipped bit cannot take away both.
    older = "format" not in found and _OWN not in found
    whole = older or found.get(_OWN) == _digest(content)
    if not whole or found.get("step") != step:
        return None
    if not all(isinstance(found.get(key), dict) for key in ("meta", "files")):
        return None
    return found


def whole_manifest(folder: Path, step: int) -> dict[str, Any] | None:
    """Return a step's manifest where its files agree with it, else None.

    Raises:
        CheckpointError: as `read_manifest`.
    """
    found = read_manifest(folder, step)
    if found is None or found["files"] != file_digests(folder / str(step)):
        return None
    return found


def file_digests(folder: Path) -> dict[str, str] | None:
    """SHA-256 of every file below a folder, by path; None: one cannot be read.

    Raises:
        CheckpointError: one may not be read, which is no damage.
    """
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            found[path.relative_to(folder).as_posix()] = file_sha256(path)
        except OSError as error:
            _check_readable(path, error)
            return None
    return found


def _check_readable(path: Path, error: OSError) -> None:
    """Raise CheckpointError where the process, not the file, is at fault."""
    if error.errno in _NO_DAMAGE:
        raise CheckpointError(
            f"{str(path)!r} cannot be read: {describe_os_error(error)}; give this "
            "process the right to, and start the same command again"
        )


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
