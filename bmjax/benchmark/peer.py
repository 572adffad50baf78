"""Another framework in a process of its own, timed turn by turn beside ours."""

import json
import subprocess
from typing import Any

from bmjax.errors import ConfigError


class Peer:
    """A process that makes a number of steps when asked and says how long it took.

    It stands still in between, so that it does not take our turns' time.
    """

    def __init__(self, python: str, module: str, task: dict[str, Any]):
        """Start `module` under an interpreter that has what it needs.

        Raises:
            ConfigError: it does not start.
        """
        try:
            self._process = subprocess.Popen(
                [python, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise ConfigError(
                f"--python={python!r} cannot be started: {error.strerror}; give an "
                "interpreter that has torch"
            ) from None
        self._python = python
        self.versions = self._ask(json.dumps(task))["versions"]

    def turn(self, steps: int) -> float:
        """Make some steps and return how many seconds they took."""
        return self._ask(str(steps))["seconds"]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _ask(self, line: str) -> dict[str, Any]:
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its own words are on standard error, and the answer is empty
        answer = self._process.stdout.readline()
        if not answer:
            raise ConfigError(
                f"--python={self._python!r} has no torch that runs, or Pillow is "
                "missing there; give an interpreter that has both"
            )
        return json.loads(answer)
