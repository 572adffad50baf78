"""A workdir belongs to one run: its configuration says which."""

import contextlib
import fcntl
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bmjax.data.images.catalog import Catalog
from bmjax.data.label_corrections import write_corrections
from bmjax.data.open_images import read_catalog
from bmjax.errors import CheckpointError, ConfigError, DataError
from bmjax.files import read_cache_note, read_json_object, user_path, write_json

# Keys that may change between a run and its continuation: they change no number (the
# devices only by rounding).
_HARMLESS = (
    "checkpoint.every",
    "checkpoint.keep_every",
    "logs.",
    "data.threads",
    "data.workers",
    "data.prefetch",
    "data.bad_share",
    "data.root",  # the fingerprint decides whether it is the same data
    "data.labels",  # likewise
    "mesh.",
    "train.skip_non_finite",  # a run that has met such a step does not go on without
)
# These come in after training: free until the run is finished, so that a mistake in
# them does not cost the training.
_EVALUATION = ("probe.", "tsne.", "checkpoint.best")
# What a run may leave before it has noted its configuration.
_OURS = (".lock", "cells-", ".cells-", "config.json.part")
LINEAR_NOTE = "linear.json"  # in features/, beside the linear probe
_LABELS = "labels.csv"  # the corrections of a run, kept with it
_LAST = "last_checkpoint.json"  # which step was saved last


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

    One whose linear probe is damaged is not: it is evaluated again.

    Raises:
        ConfigError: the workdir is a file or another run's.
    """
    check_owner(workdir, config)
    if not _finished(workdir) or probe_is_damaged(workdir):
        return False
    before = flatten(read_json_object(workdir / "config.json"))
    data, was = config["data"], before.get("data.labels", "")
    root, labels = data["root"], data.get("labels", "")
    if root != before.get("data.root") or labels or was:
        drawn = drawn_cells(workdir, data["synthetic_images"], config["seed"])
        catalog = read_catalog(
            user_path("config.data.root", root) if root else drawn,
            exclude=excluded(data["exclude"]),
            labels=labels,
        )
        made_on, corrections = _made_on(workdir / "results.json")
        if catalog.corrections != corrections:
            raise ConfigError(
                f"--workdir={str(workdir)!r} holds a finished run with other "
                f"corrections of labels: data.labels was {was!r} (digest "
                f"{short_digest(corrections)}), is {labels!r} (digest "
                f"{short_digest(catalog.corrections)}); give another --workdir"
            )
        if catalog.fingerprint != made_on:
            raise ConfigError(
                f"--workdir={str(workdir)!r} holds a finished run on other images: "
                f"data.root was {before.get('data.root')!r}, is {root!r}; give another "
                "--workdir"
            )
    return True


def images_root(
    workdir: Path, data: Any, seed: int, folder: Path | None = None
) -> Path:
    """Where the images of a run are.

    Args:
        workdir: of the run.
        data: config.data of it, with `root` and `synthetic_images`.
        seed: of it.
        folder: where they are now; None: where the run read them.

    Raises:
        DataError: they are no longer there.
    """
    if folder is not None:
        return folder
    drawn = drawn_cells(workdir, data.synthetic_images, seed)
    root = user_path("config.data.root", data.root) if data.root else drawn
    if not root.exists():
        raise DataError(
            f"the images of {str(workdir)!r} are no longer in {str(root)!r}; give the "
            "folder where they are now, --data=FOLDER"
        )
    return root


def drawn_cells(workdir: Path, images: int, seed: int) -> Path:
    """Where the synthetic cells of a run are, if it has any."""
    return workdir / f"cells-{images}-{seed}"


def keep_labels(workdir: Path, catalog: Catalog) -> None:
    """Keep the corrections of a run with it, so that it does not need their file."""
    if catalog.corrections:
        write_corrections(workdir / _LABELS, catalog)


def labels_of(workdir: Path, labels: str) -> str | Path:
    """The corrections that a run was made with, as it keeps them; "" for none.

    Args:
        workdir: of the run.
        labels: its config.data.labels. Its file is not looked for: the run may come
            from somebody else.
    """
    kept = workdir / _LABELS
    return kept if labels and kept.is_file() else ""


def short_digest(corrections: str) -> str:
    """The begin of `Catalog.corrections`, or that there are none."""
    return corrections[:12] or "none"


def _made_on(results: Path) -> tuple[str, str]:
    """Fingerprint and corrections of a finished run's images; "" where not said."""
    try:
        content = read_json_object(results)
        corrections = content.get("labels", {}).get("digest", "")
        return str(content.get("data_fingerprint", "")), str(corrections)
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{str(results)!r} cannot be read ({error}); give another --workdir"
        ) from None


def excluded(names: Sequence[object]) -> list[str]:
    """Class names to leave out; "ART,BLA" says the same as ('ART', 'BLA'), 1 as "1"."""
    return [name for item in names for name in str(item).split(",")]


def _finished(workdir: Path) -> bool:
    return (workdir / "report.html").exists()  # written last


def probe_is_damaged(workdir: Path) -> bool:
    """Whether the linear probe is not as it was written; runs of before cannot say."""
    written = workdir / "features" / LINEAR_NOTE
    return written.exists() and read_cache_note(written) is None


def note_saved(workdir: Path, step: int) -> None:
    """Note which step was saved last, apart from the checkpoints themselves."""
    write_json(workdir / _LAST, {"step": step})


def last_saved(workdir: Path) -> int:
    """The step that was saved last, as far as it was noted; 0 where none was."""
    try:
        return int(json.loads((workdir / _LAST).read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def check_nothing_lost(workdir: Path) -> None:
    """Refuse to begin at step 0 in a workdir whose run has been saved or finished.

    For a workdir without a checkpoint.

    Raises:
        CheckpointError: it had one.
    """
    saved, trained = last_saved(workdir), (workdir / "results.json").exists()
    if not saved and not trained:
        return
    known = f"was saved at step {saved:,}" if saved else "was finished (results.json)"
    raise CheckpointError(
        f"the run in {str(workdir)!r} {known}, but its folder 'checkpoints' holds no "
        "checkpoint; put the checkpoints back, or train anew in another --workdir"
    )


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
        if strange := [
            p.name for p in workdir.iterdir() if not p.name.startswith(_OURS)
        ]:
            raise ConfigError(
                f"--workdir={str(workdir)!r} holds other files (such as "
                f"{strange[0]!r}) and no config.json; give a new or empty folder"
            )
        return
    try:
        before = flatten(read_json_object(stored))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{str(stored)!r} cannot be read ({error}); give another --workdir"
        ) from None
    now = flatten(json.loads(json.dumps(config)))
    free = _HARMLESS if _finished(workdir) else (*_HARMLESS, *_EVALUATION)
    differing = [
        change for key, change in _changes(before, now) if not key.startswith(free)
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


def note_config(workdir: Path, config: dict[str, Any]) -> list[str]:
    """Make the workdir this run's own, once its configuration has proved possible.

    Returns:
        what differs from the configuration noted before, as "logs.every was 1, is 2".
    """
    path, now = workdir / "config.json", flatten(json.loads(json.dumps(config)))
    before = flatten(json.loads(path.read_text())) if path.exists() else None
    if before != now:
        write_json(path, config)
    return [change for _, change in _changes(before or now, now)]


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str]]:
    """Each key whose value changed, with both values."""
    return [
        (key, f"{key} was {before.get(key, 'absent')!r}, is {now.get(key, 'absent')!r}")
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
