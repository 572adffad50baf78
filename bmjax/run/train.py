"""A run from start to report, around the one loop."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from bmjax.console.signals import StopSignals
from bmjax.data.pipeline import Replaced, training_batches
from bmjax.devices.jax_setup import noted_cache_hits, versions
from bmjax.devices.mesh import put_batch
from bmjax.devices.processes import (
    CommonStop,
    from_first,
    is_first,
    process,
    processes,
)
from bmjax.methods import METHODS
from bmjax.run.build import (
    BuiltRun,
    batch_shapes,
    build,
    run_facts,
)
from bmjax.run.check_images import check_images_once
from bmjax.run.compile import compile_step
from bmjax.run.evaluate import evaluate_run
from bmjax.run.finite_watch import FiniteWatch
from bmjax.run.full_disk import full_disk_explained
from bmjax.run.logs import Progress, note, say
from bmjax.run.memory import check_fits, explained, more_chunks
from bmjax.run.metric_log import MetricLog
from bmjax.run.non_finite import explain_non_finite
from bmjax.run.preprocessing_check import moments_notes
from bmjax.run.refuse_seen import record_seen
from bmjax.run.same_data import record_data
from bmjax.run.start import Start, find_start
from bmjax.run.summary import describe_program, describe_run
from bmjax.run.validate import validate
from bmjax.run.validation import Validation, choose_state, count_seen
from bmjax.run.workdir import (
    claim,
    is_finished,
    keep_labels,
    note_config,
    note_saved,
    probe_is_damaged,
)
from bmjax.training import checkpoint
from bmjax.training.best_step import STEP
from bmjax.training.finite import NUMBERS
from bmjax.training.step import TrainState, TrainStep
from bmjax.types import Batch


def train(config: ConfigDict, workdir: Path) -> None:
    """Train, evaluate and report; go on where an interrupted run stopped.

    Precedence: this workdir's own checkpoint, then `config.init_from`, then chance.
    """
    settings = validate(config)
    with contextlib.ExitStack() as held:
        if is_first():  # the others wait for what it makes in the folder
            held.enter_context(claim(workdir))
        signals = held.enter_context(StopSignals(insist=True))
        held.enter_context(full_disk_explained())
        # Again, under the lock: another run may have had the folder meanwhile.
        if from_first(lambda: is_finished(workdir, config.to_dict())):
            return say(f"already complete: {workdir / 'report.html'}")
        if probe_is_damaged(workdir):
            say("note: the linear probe is damaged: the run is evaluated again")
        run = build(settings, workdir)
        describe_run(run, say)
        start = find_start(run, workdir / "checkpoints")
        state, seconds, compiled = start.state, start.seconds, None
        replaced = Replaced(
            limit=int(settings.data.bad_share * len(run.data.split.train)), say=note
        )
        copies = check_images_once(
            run.data,
            replaced,
            threads=settings.data.threads * max(settings.data.workers, 1),
            begun=start.step > 0,
            say=say,
        )
        far = moments_notes(settings, run.data)
        for sentence in far:
            say(f"note: {sentence}")
        if start.step < run.length.steps or not start.step or not_validated(run, start):
            checkpoint.check_space(
                workdir / "checkpoints", state, say, kept=kept_besides(run)
            )
            compiled = compile_that_fits(run, state)
        if is_first():
            if changed := note_config(workdir, config.to_dict()):
                say(f"configuration: {'; '.join(changed)}")
            keep_labels(workdir, run.data.catalog)
        skipped = list(start.skipped)
        if compiled:
            state, seconds, skipped = train_steps(
                run,
                compiled,
                start,
                workdir,
                signals=signals,
                replaced=replaced,
            )
        chosen = choose_state(run, state, workdir)
        if chosen.facts:
            say(
                "chosen by validation: step {step:,} of {last_step:,}, {metric} "
                "{value:.3f}".format(**chosen.facts)
            )
        say(f"evaluating on {len(run.data.split.test):,} test images")
        evaluated = evaluate_run(
            run,
            chosen,
            workdir,
            seconds=seconds,
            replaced=replaced,
            notes=(*start.notes, *copies, *far, *skipped_notes(skipped)),
        )
        if evaluated:
            page, results = evaluated
            say(headline(results))
            say(f"report: {page}")


def headline(results: dict[str, Any]) -> str:
    """One line on how well a run did, from the content of its results.json."""
    shown = []
    for name in ("accuracy", "macro_f1"):
        text = f"{name.replace('_f1', ' F1')} {results[name]:.3f}"
        if ends := results["intervals"][name]:
            text += " [{:.3f}, {:.3f}]".format(*ends)
        shown.append(text)
    return f"{results['predictor']}: {', '.join(shown)}"


def skipped_notes(skipped: list[int]) -> list[str]:
    """A sentence for the results where steps were skipped."""
    if not skipped:
        return []
    return [
        f"{len(skipped):,} step(s) whose numbers were not finite were skipped, first "
        f"step {skipped[0]:,}: the network learned nothing from their images."
    ]


def not_validated(run: BuiltRun, start: Start) -> bool:
    """Whether the last step was saved, and the run stopped, before its validation."""
    validated = any(record[STEP] == run.length.steps for record in start.validated)
    return run.length.validate_every > 0 and not validated


def kept_besides(run: BuiltRun) -> int:
    """How many checkpoints stay besides the newest two, at the end."""
    every = run.length.keep_every
    best = bool(run.settings.checkpoint.best)
    return best + (run.length.steps // every if every else 0)


def compile_that_fits(run: BuiltRun, state: TrainState) -> jax.stages.Compiled:
    """Compile the step, and say what it needs; it is refused before it would fail."""
    shapes = batch_shapes(run.settings.data, run.mesh)
    started = time.monotonic()
    with noted_cache_hits() as hits:
        compiled = compile_step(run.learner, state, shapes, run.mesh)
    seconds = time.monotonic() - started
    check_fits(run.learner, state, shapes, run.mesh, compiled, say)
    describe_program(
        run.mesh, run.length.steps, compiled, seconds, say, cached=bool(hits)
    )
    return compiled


def train_steps(
    run: BuiltRun,
    compiled: jax.stages.Compiled,
    start: Start,
    workdir: Path,
    *,
    signals: StopSignals,
    replaced: Replaced,
) -> tuple[TrainState, float, list[int]]:
    """Train to the last step with validations, logs and checkpoints, save at the end.

    Returns:
        the final state; the seconds spent in the loop over all of the run's starts,
        without those of validations; and the steps that were skipped.
    """
    settings, data, length = run.settings, run.data, run.length
    first, seconds = start.step, start.seconds
    batch_size, spec = settings.data.batch_size, METHODS[settings.method_name]
    folder = workdir / "checkpoints"
    progress = Progress(first=first, total=length.steps, what=settings.method_name)
    batches = training_batches(
        data.catalog,
        data.stream,
        size=settings.data.size,
        resize=settings.data.resize,
        batch_size=batch_size,
        first_step=first,
        threads=settings.data.threads,
        prefetch=settings.data.prefetch,
        workers=settings.data.workers,
        process=process(),
        processes=processes(),
        stand_ins=data.replacements,
        replaced=replaced,
    )
    metrics = None
    if is_first():
        metrics = MetricLog(
            workdir,
            first_step=first,
            validated=[int(record[STEP]) for record in start.validated],
        )

    def write(step: int, values: dict[str, float]) -> None:
        if metrics:
            metrics.write(step, values)

    validation = Validation(
        run, start.validated, write=write, say=note, replaced=replaced
    )
    watch = spec.watch(settings.method, run_facts(settings, data, length))
    rates = np.asarray(jax.vmap(run.learner.schedule)(jnp.arange(length.steps)))

    def rate(step: int) -> float:
        """Of the update that made the state of a step; a skipped one used none up."""
        return float(rates[step - 1 - sum(s < step for s in numbers.skipped)])

    numbers = FiniteWatch(
        most=settings.train.skip_non_finite,
        skipped=start.skipped,
        explain=lambda step, values: explain_non_finite(
            step,
            values,
            state=start.state,
            frozen=run.learner.method.frozen,
            data=data,
            batch_size=batch_size,
            rate=rate(step),
            workdir=workdir,
        ),
        cure=spec.non_finite_cure,
        say=note,
    )
    libraries = versions()
    # The records that a save needs, and all processes but the first do not.
    seen, images = start.seen, start.images or {}
    if is_first():
        seen = seen or record_seen(settings, data)
        images = images or record_data(data, settings.data.pretrain_on)
    if known := count_seen(settings.init_from, data, seen):
        note(
            f"note: config.init_from has been trained on {known:,} of the "
            f"{len(data.validation):,} validation images: their metrics are too good"
        )

    def clock() -> float:
        return time.monotonic() - validation.seconds

    begun = clock()
    last = [first, begun]  # step and time of the last log

    def keep(step: int) -> bool:
        every = length.keep_every
        return validation.keep(step) or bool(every and step % every == 0)

    def save(step: int, state: TrainState) -> None:
        checkpoint.save(
            folder,
            step,
            state,
            meta={
                **images,
                "seen": seen,
                "seconds": seconds + clock() - begun,
                "validation": validation.history,
                "skipped": numbers.skipped,
                "versions": libraries,
            },
            keep=keep,
        )
        if is_first():
            note_saved(workdir, step)

    def log(step: int, values: dict[str, float]) -> None:
        now = clock()
        speed = (step - last[0]) * batch_size / (now - last[1])
        last[:] = [step, now]
        write(
            step,
            {
                **{f"train/{name}": value for name, value in values.items()},
                "train/learning_rate": rate(step),
                "train/images_per_second": speed,
                "train/images_replaced": len(replaced.positions),
                "train/steps_skipped": len(numbers.skipped),
            },
        )
        progress.show(step, loss=values["loss"], images_per_second=speed)
        if math.isfinite(values["loss"]) and (warning := watch(step, values)):
            note(f"warning: {warning}")

    try:
        with (
            signals.at_the_next_step(),
            explained(
                compiled,
                batch_size,
                more_chunks(batch_size, run.mesh.size, run.learner.chunks),
            ),
        ):
            state = loop(
                compiled,
                start.state,
                batches,
                mesh=run.mesh,
                first=first,
                total=length.steps,
                save_every=length.save_every,
                keep_every=length.keep_every,
                validation=validation,
                log_every=length.log_every,
                save=save,
                log=log,
                after_step=progress.advance,
                stop=signals,
                numbers=numbers,
            )
    finally:
        progress.close()
        if metrics:
            metrics.close()
    return state, seconds + clock() - begun, numbers.skipped


def loop(
    step_fn: TrainStep,
    state: TrainState,
    batches: Iterator[dict[str, np.ndarray]],
    *,
    mesh: jax.sharding.Mesh,
    first: int,
    total: int,
    save_every: int,
    log_every: int,
    save: Callable[[int, TrainState], None],
    log: Callable[[int, dict[str, float]], None],
    after_step: Callable[[], None] = lambda: None,
    stop: StopSignals | None = None,
    numbers: FiniteWatch | None = None,
    keep_every: int = 0,
    validation: Validation | None = None,
) -> TrainState:
    """THE loop. Its order: due validation, due save, next batch, put, step, due log.

    At the end come a due validation and a save.

    Saving comes before the next batch is taken, so that the state saved at step s is
    the one that step s starts from: the data are addressed by the step, and nothing
    else has to be remembered. Validation comes before saving, so that a checkpoint
    knows the metrics of its own state, and the best state so far is saved at once.
    When a signal came, it is left to the run that goes on. Nothing but `put_batch`
    moves data to the devices; the guard around the step makes that a fact. `numbers`
    looks at every step, and all have been looked at before a validation, save or log.

    Raises:
        NonFiniteError: a step's numbers are not finite; such a state is never saved.
        Stopped: a signal came; the state was saved.
    """
    numbers, common = numbers or FiniteWatch(), CommonStop()

    def asked() -> bool:
        return bool(stop and stop.number)

    def validation_due(step: int) -> bool:
        return validation is not None and validation.due(step)

    def validated_best(step: int) -> bool:
        numbers.settle()
        return validation.validate(step, state)

    for step in range(first, total):
        stopping, best = common.due(step, asked=asked()), False
        if not stopping and validation_due(step):
            best = validated_best(step)
            # A signal may have come meanwhile.
            stopping = common.due(step, asked=asked())
        kept = bool(keep_every) and step % keep_every == 0
        due = step > first and (best or kept or step % save_every == 0)
        if due or stopping:
            numbers.settle()
            save(step, state)
            if stop and stopping:
                raise stop.error(f"saved at step {step:,}")
        batch = Batch(**next(batches))
        with jax.transfer_guard("disallow"):
            state, values = step_fn(state, put_batch(batch, mesh))
        numbers.add(step + 1, values)
        after_step()
        if (step + 1) % log_every == 0 or step + 1 == total:
            numbers.settle()
            scalars = {name: v for name, v in values.items() if name != NUMBERS}
            log(step + 1, {k: float(v) for k, v in jax.device_get(scalars).items()})
    stopping = common.at_end(asked=asked())
    if not stopping and validation_due(total):
        validated_best(total)
    save(total, state)
    if stop and (stopping or common.at_end(asked=asked())):
        raise stop.error(f"saved at step {total:,}, the last")
    return state
