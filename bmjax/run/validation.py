"""Validating a run along the way, on images that it is not trained on."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from bmjax.data.pipeline import Replaced
from bmjax.data.seen_images import catalog_hashes, seen_from_json, shared_images
from bmjax.devices.mesh import results_for_host
from bmjax.devices.processes import from_first
from bmjax.evals.extract_features import extract_features
from bmjax.evals.subset import choose_rows
from bmjax.evals.validation_metrics import validation_metrics
from bmjax.run.build import BuiltRun, RunData, make_prepare
from bmjax.run.frozen_features import run_batches
from bmjax.run.metric_log import VALIDATION
from bmjax.training import checkpoint
from bmjax.training.best_step import STEP, Record, best_record, candidates
from bmjax.training.step import TrainState, make_predict_step


class Validation:
    """Validates the state at some steps, and knows what came of it so far.

    It changes no state and draws no random number that training uses: a run with
    validations ends with the parameters of one without.

    Attributes:
        history: a record for each validation so far; saved with every checkpoint, so
            that a resumed run knows them.
        seconds: spent in validations by this process.
    """

    def __init__(
        self,
        run: BuiltRun,
        history: Sequence[Record],
        *,
        write: Callable[[int, dict[str, float]], None],
        say: Callable[[str], None],
        replaced: Replaced,
    ):
        """Choose the training images that the probes learn.

        Args:
            run: whose states are validated.
            history: of the checkpoint that the run goes on from.
            write: takes a step and metrics by name, for the logs.
            say: takes a line for people.
            replaced: counts unreadable training images.
        """
        self.history = list(history)
        self.seconds = 0.0
        self._run, self._write, self._say = run, write, say
        self._replaced = replaced
        train, labels = run.data.split.train, run.data.catalog.labels
        most, seed = run.settings.validation.images, run.settings.seed
        self._train = train[choose_rows(labels[train], most, seed)]
        self._predict = jax.jit(
            make_predict_step(run.learner.method, make_prepare(run.settings.data)),
            out_shardings=results_for_host(run.mesh),
        )

    def due(self, step: int) -> bool:
        """Whether the state after `step` updates is due, and was not validated yet."""
        every, last = self._run.length.validate_every, self._run.length.steps
        return (
            every > 0
            and (step % every == 0 or step == last)
            and all(record[STEP] != step for record in self.history)
        )

    def validate(self, step: int, state: TrainState) -> bool:
        """Validate a state; return whether it is the best candidate so far.

        Without `config.checkpoint.best` none is.
        """
        began = time.monotonic()
        metrics = self._metrics(state)
        self.history.append({STEP: step, **metrics})
        self._write(step, {VALIDATION + name: x for name, x in metrics.items()})
        self._say(
            f"validation after step {step:,}: "
            + ", ".join(f"{n} {x:.3f}" for n, x in metrics.items() if "macro_f1" in n)
        )
        self.seconds += time.monotonic() - began
        return self.best_step() == step

    def best_step(self) -> int | None:
        """The step of the best candidate so far; None: there is none, or no choice."""
        return best_step_of(self.history, self._run.settings.checkpoint.best)

    def keep(self, step: int) -> bool:
        """Whether the checkpoint of a step is the best one's."""
        return step == self.best_step()

    def _metrics(self, state: TrainState) -> dict[str, float]:
        run = self._run
        catalog, chosen = run.data.catalog, run.data.validation
        positions = np.concatenate([self._train, chosen])
        features, logits = extract_features(
            lambda pixels: self._predict(state.params, state.batch_stats, pixels),
            run_batches(run.data, run.settings.data, positions, self._replaced),
            images=len(positions),
            mesh=run.mesh,
            path=None,
        )
        end = len(self._train)
        return from_first(
            lambda: validation_metrics(
                features[:end],
                catalog.labels[self._train],
                features[end:],
                catalog.labels[chosen],
                catalog.classes,
                logits=None if logits is None else logits[end:],
                iterations=run.settings.validation.logistic_iterations,
                seed=run.settings.seed,
            )
        )


def best_step_of(history: Sequence[Record], metric: str) -> int | None:
    """The best candidate's step; None where there is none, or nothing to choose by."""
    record = best_record(history, metric) if metric else None
    return None if record is None else int(record[STEP])


class Chosen(NamedTuple):
    """The state that is evaluated, and how it was chosen.

    Attributes:
        state: of the last step, or of the best one.
        facts: for results.json; None where no step was chosen.
        seen_before: validation images that `config.init_from` was trained on.
    """

    state: TrainState
    facts: dict[str, Any] | None = None
    seen_before: int = 0


def choose_state(run: BuiltRun, state: TrainState, workdir: Path) -> Chosen:
    """Return the state to evaluate: the last one, or the best on validation images.

    Args:
        run: that has been trained.
        state: after its last step.
        workdir: with the checkpoints.

    Raises:
        CheckpointError: the best step's checkpoint is not there or is damaged.
    """
    metric, folder = run.settings.checkpoint.best, workdir / "checkpoints"
    if not len(run.data.validation):
        return Chosen(state)
    found = checkpoint.newest(folder)
    meta = found[1] if found else {}
    seen_before = count_seen(run.settings.init_from, run.data, meta.get("seen"))
    history = meta.get("validation", [])
    best = best_record(history, metric) if metric else None
    if best is None:
        return Chosen(state, None, seen_before)
    step, last = int(best[STEP]), history[-1]
    if step != run.length.steps:
        checkpoint.check_whole(folder, step, metric)
        state = checkpoint.restore(folder, step, state)
    facts = {
        "metric": metric,
        "step": step,
        "value": best[metric],
        "last_step": int(last[STEP]),
        "last_value": last[metric],
        "candidates": len(candidates(history)),
        "images": len(run.data.validation),
    }
    return Chosen(state, facts, seen_before)


def count_seen(init_from: str, data: RunData, seen: dict[str, Any] | None) -> int:
    """How many validation images the run's source was trained on, as far as is known.

    Args:
        init_from: config.init_from; "": there is no source.
        data: of the run.
        seen: the record that its checkpoints hold, with what it started from.
    """
    if not init_from or not seen:
        return 0
    hashes = catalog_hashes(data.catalog, data.validation)
    return len(shared_images(seen_from_json(seen), hashes))
