"""What a run starts from: its newest checkpoint, other weights, or chance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.devices.jax_setup import versions
from bmjax.devices.processes import from_first, is_first, process
from bmjax.errors import CheckpointError
from bmjax.files import user_path
from bmjax.run.build import BuiltRun, batch_shapes
from bmjax.run.compile import init_state
from bmjax.run.init_from import start_from
from bmjax.run.logs import say
from bmjax.run.same_data import check_same_data, kept_record
from bmjax.run.workdir import check_nothing_lost, last_saved
from bmjax.training import checkpoint
from bmjax.training.best_step import Record
from bmjax.training.step import TrainState
from bmjax.training.trained_network import about_source, check_file


class Start(NamedTuple):
    """What a run starts from.

    Attributes:
        state: before the next step.
        step: updates made so far.
        seconds: spent on these in the loop.
        seen: the record of `record_seen` that the run began with; None: it begins now.
        images: the record of `record_data` that it began with; None likewise.
        notes: sentences for the results on what has changed since it began.
        validated: a record for each validation so far.
        skipped: steps whose numbers were not finite and that were skipped.
    """

    state: TrainState
    step: int = 0
    seconds: float = 0.0
    seen: dict[str, Any] | None = None
    images: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    validated: Sequence[Record] = ()
    skipped: Sequence[int] = ()


def find_start(run: BuiltRun, folder: Path) -> Start:
    """Return the newest checkpoint's state, or the one before the first step.

    Raises:
        CheckpointError: there is no whole checkpoint where there was one, or it does
            not fit the run.
        DataError: the images are not those that the run began with.
    """
    settings, data, length = run.settings, run.data, run.length
    found = _recovered(folder)
    if found is None:
        check_nothing_lost(folder.parent)
    source = user_path("config.init_from", settings.init_from)
    if found is None and settings.init_from:  # before anything is compiled
        if source.is_dir():
            about_source(source)
        else:
            check_file(source, settings.model.name, say=say)
    state = init_state(run.learner, batch_shapes(settings.data, run.mesh), run.mesh)
    if found is None:
        if settings.init_from:
            state = start_from(state, settings, data, say)
        return Start(state)
    step, meta = found
    notes = check_same_data(
        meta,
        data,
        pretrain_on=settings.data.pretrain_on,
        split=settings.data.split,
        workdir=folder.parent,
    )
    if step > length.steps:
        raise CheckpointError(
            f"checkpoint {step} in {str(folder)!r} lies beyond the run's "
            f"{length.steps} steps; use another --workdir"
        )
    notes += _other_versions(meta.get("versions"), versions())
    if (last := last_saved(folder.parent)) > step:
        say(f"warning: checkpoint {last:,} was saved and is no longer there or whole")
    state = checkpoint.restore(folder, step, state)
    digest = checkpoint.digest(state.params)
    say(f"resuming after step {step:,}, parameters {digest[:12]}")
    for sentence in notes:
        say(f"note: {sentence}")
    return Start(
        state,
        step,
        meta["seconds"],
        meta.get("seen"),
        kept_record(meta),
        tuple(notes),
        meta.get("validation", []),
        meta.get("skipped", []),
    )


def _recovered(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """`checkpoint.recover` by the first process; the others find the same checkpoint.

    Raises:
        CheckpointError: they do not, as where the folder is not the same one.
    """
    kept: list[tuple[int, dict[str, Any]] | None] = []

    def recovered() -> int | None:
        kept.append(checkpoint.recover(folder, say))
        return kept[0][0] if kept[0] else None

    step = from_first(recovered)
    if is_first():
        return kept[0]
    found = checkpoint.newest(folder) if step is not None else None
    if step is not None and (found is None or found[0] != step):
        raise CheckpointError(
            f"process 0 goes on from checkpoint {step:,}, which process {process()} "
            f"does not find in {str(folder)!r}; give a --workdir on a file system that "
            "all processes share"
        )
    return found


def _other_versions(before: dict[str, str] | None, now: dict[str, str]) -> list[str]:
    """Say which libraries are not those that wrote a checkpoint, with both versions."""
    others = [name for name in now if before and before.get(name) != now[name]]
    if not before or not others:
        return []
    then = ", ".join(f"{name} {before.get(name, 'unknown')}" for name in others)
    here = ", ".join(f"{name} {now[name]}" for name in others)
    return [
        f"The checkpoint that the run went on from was written with {then}, and this "
        f"is {here}: its numbers may differ from those of an undisturbed run."
    ]
