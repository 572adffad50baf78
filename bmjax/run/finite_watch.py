"""The loop's look at whether each step was finite, when the step is done.

The host reads a step's answer two steps later, so that it never waits for the step that
it has just started, and before anything is saved, validated or logged.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from bmjax.errors import NonFiniteError
from bmjax.training.finite import NUMBERS

_IN_FLIGHT = 2  # steps handed to the devices ahead of the host: bounds the memory

# explain(step, metrics) -> what is not finite, in words, and where it was written
Explain = Callable[[int, dict[str, Any]], str]


def _in_short(step: int, metrics: dict[str, Any]) -> str:
    del metrics
    return f"the numbers of step {step:,} are not all finite"


class FiniteWatch:
    """Reads the answers of the steps in order, and counts those that are skipped.

    Attributes:
        skipped: steps whose numbers were not finite, and which the step itself has
            withheld; saved with every checkpoint.
    """

    def __init__(
        self,
        *,
        most: int = 0,
        skipped: Sequence[int] = (),
        explain: Explain = _in_short,
        cure: str = "",
        say: Callable[[str], None] = print,
    ):
        """Take what is known of the steps so far.

        Args:
            most: steps that may be skipped in all, config.train.skip_non_finite.
            skipped: of the checkpoint that the run goes on from.
            explain: says what is not finite.
            cure: what may help besides a lower learning rate; "" for nothing.
            say: takes a line for each step that is skipped.
        """
        self.skipped = list(skipped)
        self._most, self._explain, self._cure, self._say = most, explain, cure, say
        self._in_flight: deque[tuple[int, dict[str, Any]]] = deque()

    def add(self, step: int, metrics: dict[str, Any]) -> None:
        """Take the metrics of a step that was started; wait for one further back.

        Raises:
            NonFiniteError: as `settle`.
        """
        metrics[NUMBERS].finite.copy_to_host_async()
        self._in_flight.append((step, metrics))
        if len(self._in_flight) > _IN_FLIGHT:
            self._look()

    def settle(self) -> None:
        """Wait for all steps that were started.

        Raises:
            NonFiniteError: the numbers of one are not finite, and no more may be
                skipped.
        """
        while self._in_flight:
            self._look()

    def _look(self) -> None:
        step, metrics = self._in_flight.popleft()
        if metrics[NUMBERS].finite:
            return
        what = self._explain(step, metrics)
        if len(self.skipped) < self._most:
            self.skipped.append(step)
            count = f"{len(self.skipped):,} of {self._most:,}"
            return self._say(f"warning: {what}; the step is skipped ({count})")
        other = f" or {self._cure}" if self._cure else ""
        raise NonFiniteError(
            f"{what}, and config.train.skip_non_finite = {self._most:,} lets no more "
            "pass; nothing of it was saved: lower config.optim.learning_rate"
            f"{other}, in another --workdir, or go on from the last checkpoint with a "
            "higher --config.train.skip_non_finite"
        )
