"""Whatever ends a command, it ends in a sentence or in silence, with its exit code."""

import errno
import os
import subprocess
import sys

import pytest

from bmjax.console.command import run_command
from bmjax.errors import CheckpointError, ConfigError, DataError


def fail(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ConfigError("a key is wrong"), 2, "bmjax: a key is wrong"),
        (DataError("a file\nis wrong"), 3, "bmjax: a file\\nis wrong"),
        (CheckpointError("damaged"), 5, "bmjax: damaged"),
        (KeyboardInterrupt(), 130, "bmjax: stopped"),
        (OSError(errno.ENOSPC, "No space", "out.csv"), 3, "no space is left for"),
    ],
)
def test_an_error_is_one_sentence_and_its_code(capsys, error, code, sentence):
    assert run_command(fail(error)) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)
    with pytest.raises(PermissionError):
        run_command(fail(PermissionError(errno.EACCES, "no")))


def test_a_commands_own_code_is_returned():
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 3) == 3


def test_a_reader_that_has_gone_is_no_traceback():
    code = (
        "import sys\nfrom bmjax.console.command import run_command\n"
        "def show():\n    for line in range(100_000):\n        print(line)\n"
        "sys.exit(run_command(show))"
    )
    command = f"{sys.executable} -c '{code}' | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["0", "141"]


def test_a_terminal_without_the_characters_shows_escapes():
    code = (
        "import sys\nfrom bmjax.console.command import run_command\n"
        "sys.exit(run_command(lambda: print('\\u00b1 1')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (0, "\\xb1 1\n")
