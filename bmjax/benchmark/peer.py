"""Another framework in a process of its own, timed turn by turn beside ours."""

import json
import subprocess
import tempfile
from typing import Any

from bmjax.errors import ConfigError


class Peer:
    """A process that makes a number of steps when asked and says how long it took.

    It stands still in between, so that it does not take our turns' time.
    """

    def __init__(
        self,
        python: str,
        module: str,
        task: dict[str, Any],
        needs: str = "torch and Pillow",
    ):
        """Start `module` under an interpreter that has what it needs.

        Raises:
            ConfigError: it does not start.
        """
        self._complaints = tempfile.TemporaryFile(  # noqa: SIM115 closed by close()
            "w+", errors="replace"
        )
        try:
            self._process = subprocess.Popen(
                [python, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
            )
        except OSError as error:
            raise ConfigError(
                f"--python={python!r} cannot be started: {error.strerror}; give an "
                f"interpreter that has {needs}"
            ) from None
        self._python, self._needs = python, needs
        self.about = self._ask(json.dumps(task))  # what it says of itself
        self.versions = self.about["versions"]

    def turn(self, steps: int, job: str = "") -> float:
        """Make some steps, of a kind where there are several; return the seconds."""
        return self._ask(f"{steps} {job}".strip())["seconds"]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._complaints.close()

    def _ask(self, line: str) -> dict[str, Any]:
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer is empty, and its last words say why
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            self._complaints.seek(0)
            said = self._complaints.read().strip().split("\n")
            raise ConfigError(
                f"--python={self._python!r} does not run {self._needs} ({said[-1]})"
                "; give an interpreter that does"
            )
        return json.loads(answer)
