"""Which step of a run is the best by a metric of its validation images."""

import math
from collections.abc import Mapping, Sequence

from bmjax.errors import CheckpointError

STEP = "step"  # the key of a record that is no metric
Record = Mapping[str, int | float]  # the step, and metrics by name


def candidates(history: Sequence[Record]) -> list[Record]:
    """The records that a choice is among: all but that of the state before step 1.

    What a run starts from is no result of it. A run of no steps has nothing else.
    """
    return [record for record in history if record[STEP] > 0] or list(history)


def best_record(history: Sequence[Record], metric: str) -> Record | None:
    """The candidate whose metric is highest, the earliest of equals.

    One that is not a number is below all others.

    Args:
        history: of the run, a record for each validation, in the order of the steps.
        metric: such as "knn_20/macro_f1".

    Returns:
        its record; None where there is no candidate.

    Raises:
        CheckpointError: the history does not know the metric.
    """
    found = candidates(history)
    if any(metric not in record for record in found):
        raise CheckpointError(
            f"config.checkpoint.best = {metric!r} is not among the metrics of this "
            f"run's validations ({', '.join(k for k in found[0] if k != STEP)}); give "
            "one of them, or '' to take the last step"
        )

    def height(record: Record) -> float:
        return -math.inf if math.isnan(record[metric]) else record[metric]

    return max(found, key=height) if found else None
