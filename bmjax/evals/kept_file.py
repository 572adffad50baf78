"""Arrays that a run's evaluation keeps in a file, read for use on new cells."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from bmjax.errors import CheckpointError, ConfigError
from bmjax.files import read_json_object
from bmjax.npz_file import read_npz

_Content = TypeVar("_Content")


def read_kept(
    workdir: Path,
    name: str,
    fields: Sequence[str],
    check: Callable[[dict[str, np.ndarray]], _Content],
) -> _Content:
    """Read a file of a run, which must be of the parameters that were evaluated.

    Args:
        workdir: of the run.
        name: of the file, .npz.
        fields: names of its arrays, "digest" among them.
        check: makes its content of them; raises ValueError or TypeError unless the
            arrays fit each other.

    Raises:
        ConfigError: the run has no such file.
        CheckpointError: the file is damaged, or of other parameters than results.json.
    """
    path = workdir / name
    again = (
        f"remove {str(workdir / 'report.html')!r} and run the run's own command again, "
        "which evaluates it anew and does not train"
    )
    if not path.exists():
        raise ConfigError(
            f"{str(workdir)!r} holds no {name}, which runs of older versions lack; "
            f"{again}"
        )
    try:
        arrays = read_npz(path, fields)
        content = check(arrays)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{str(path)!r} is damaged ({error}); {again}") from None
    if str(arrays["digest"]) != _params_digest(workdir):
        raise CheckpointError(
            f"{str(path)!r} is of other parameters than "
            f"{str(workdir / 'results.json')!r}; {again}"
        )
    return content


def check_made_by(path: Path, digest: str, loaded: str) -> None:
    """Raise CheckpointError where a kept file is of other parameters than are in use.

    Args:
        path: of the file.
        digest: of the parameters that it was made by.
        loaded: of those that are in use; "" where they are no run's.
    """
    if loaded and digest != loaded:
        raise CheckpointError(
            f"{str(path)!r} is of the parameters {digest[:12]}, and the checkpoint in "
            f"use has {loaded[:12]}; remove {str(path.parent / 'report.html')!r} and "
            "run the run's own command again, which evaluates this checkpoint"
        )


def _params_digest(workdir: Path) -> str:
    """Of the parameters that the run's evaluation was of; "" where it says none."""
    try:
        return str(read_json_object(workdir / "results.json").get("params_sha256", ""))
    except (OSError, ValueError):
        return ""
