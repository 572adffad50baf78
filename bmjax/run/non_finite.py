"""What is written to be looked at when the numbers of a step are not finite."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bmjax.files import describe_os_error, write_json
from bmjax.run.build import RunData
from bmjax.training.finite import NUMBERS, StepNumbers, array_names
from bmjax.training.frozen_params import split_frozen
from bmjax.training.step import TrainState

_NAME = "non_finite.json"
_LOSS, _GRADIENT = "loss", "gradient"


def explain_non_finite(
    step: int,
    metrics: dict[str, Any],
    *,
    state: TrainState,
    frozen: Sequence[str],
    data: RunData,
    batch_size: int,
    rate: float,
    workdir: Path,
) -> str:
    """Write non_finite.json, and say which numbers of a step are not finite.

    Args:
        step: updates made with it.
        metrics: of the step, on the devices.
        state: any of the run's; its names count.
        frozen: names of the parameters that are not trained, as of `Method`.
        data: of the run.
        batch_size: over all processes.
        rate: learning rate of the step.
        workdir: of the run.
    """
    figures = jax.device_get(metrics)
    numbers: StepNumbers = figures.pop(NUMBERS)
    lengths, bad = _by_name(numbers, state, frozen)
    bad = [name for name in (_LOSS,) if not np.isfinite(figures[name])] + bad
    first, last = (step - 1) * batch_size, step * batch_size
    positions = [data.stream[place] for place in range(first, last)]
    written = _write(
        workdir / _NAME,
        {
            "step": step,
            "learning_rate": rate,
            "metrics": {name: float(value) for name, value in figures.items()},
            "not_finite": bad,
            "norms": lengths,
            "images": [data.catalog.paths[position] for position in positions],
        },
    )
    shown = bad[0] if bad else f"length of the {_GRADIENT}"
    more = f" and {len(bad) - 1:,} more" if len(bad) > 1 else ""
    return (
        f"the numbers of step {step:,} are not all finite, first {shown}{more} "
        f"({written})"
    )


def _by_name(
    numbers: StepNumbers, state: TrainState, frozen: Sequence[str]
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Length of every array by its kind and name, and which are not finite."""
    trained = array_names(split_frozen(state.params, frozen)[0])
    parameters, statistics = array_names(state.params), array_names(state.batch_stats)
    kinds = {
        _GRADIENT: (trained, numbers.gradients, np.isfinite(numbers.gradients)),
        "parameter": (parameters, numbers.parameters, numbers.finite_parameters),
        "batch_statistic": (
            statistics,
            numbers.statistics,
            numbers.finite_statistics,
        ),
    }
    lengths = {
        kind: dict(zip(names, map(float, values), strict=True))
        for kind, (names, values, _) in kinds.items()
    }
    bad = [
        f"{kind} {name}"
        for kind, (names, _, finite) in kinds.items()
        for name, fine in zip(names, finite, strict=True)
        if not fine
    ]
    return lengths, bad


def _write(path: Path, content: dict[str, Any]) -> str:
    """Write the file, in one process of all, and say where it is, or why it is not."""
    try:
        if jax.process_index() == 0:
            write_json(path, _as_json(content))
    except OSError as error:
        return f"{path.name} cannot be written: {describe_os_error(error)}"
    return f"its images, rate and norms are in {str(path)!r}"


def _as_json(content: Any) -> Any:
    """The content with a text in the place of a number that is not finite."""
    if isinstance(content, dict):
        return {name: _as_json(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_as_json(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)  # nan, inf, -inf
    return content
