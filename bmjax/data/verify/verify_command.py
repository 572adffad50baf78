"""`python -m bmjax.data verify`: print the summary, keep the report, tell by code."""

import os
from pathlib import Path

from bmjax.console.signals import StopSignals
from bmjax.data.prepared.read import is_prepared
from bmjax.data.verify.verify_report import Report, verify
from bmjax.data.verify.verify_summary import summarize_report, to_json
from bmjax.errors import DATA, DONE, ConfigError, DataError, Stopped
from bmjax.files import write_whole


def run(
    root: str, *, json: str | None, own: bool, accept: str, workers: int | None
) -> int:
    """Verify a folder and return the exit code.

    Args:
        root: the folder.
        json: file for the report.
        own: never hold it against the release.
        accept: kinds that are not to count as problems, with commas between.
        workers: processes that read.

    Raises:
        ConfigError: an argument that cannot be right; nothing was read.
        DataError: no such folder.
        Stopped: by a signal; no report was written.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers = {workers} is out of range; take 1 or more")
    if is_prepared(Path(root)):
        raise ConfigError(
            f"{root!r} is a prepared set, whose images were checked when it was made "
            "and whose records are at every start; give the folder it was made from"
        )
    if json:
        _check_place(Path(json), Path(root))
    kinds = [kind.strip() for kind in accept.split(",") if kind.strip()]
    try:
        # Ctrl-C too: a shell starts what it puts in the background deaf to it.
        with StopSignals():
            report = verify(root, own=own, accept=kinds, workers=workers)
    except Stopped as stopped:
        raise Stopped("stopped; no report was written", stopped.exit_code) from None
    print(summarize_report(report))
    if json:
        _keep(report, Path(json))
    return DATA if report.problems else DONE


def _keep(report: Report, file: Path) -> None:
    try:
        write_whole(file, to_json(report))
    except OSError as error:
        raise DataError(
            f"the report cannot be written to {str(file)!r}: {error.strerror}; name "
            "another file with --json"
        ) from None


def _check_place(file: Path, root: Path) -> None:
    """That the report can be written, before minutes are spent on it."""
    folder = file.resolve().parent
    if folder.is_relative_to(root.resolve()):
        raise ConfigError(
            f"--json = {str(file)!r} lies in the folder that is verified, and nothing "
            "is written there; name a file elsewhere"
        )
    if not folder.is_dir() or not os.access(folder, os.W_OK) or file.is_dir():
        raise ConfigError(
            f"--json = {str(file)!r} cannot be written: its folder is not there or is "
            "closed to you, or it is a folder; name another file"
        )
