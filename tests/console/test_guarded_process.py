"""A command in a process of its own: its code, its signals, and its end explained."""

import os
import signal
import subprocess
import sys
import time

import pytest

from bmjax.errors import PEER_GONE, STOPPED

CHILD = """
import os, signal, sys, time
from bmjax.console.guarded_process import is_guarded

assert is_guarded() and "BMJAX_GUARDED_BY" not in os.environ
if sys.argv[1] == "wait":
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(75))
    print(os.getpid(), flush=True)
    time.sleep(60)
if sys.argv[1] == "abort":
    os.abort()
sys.exit(int(sys.argv[1]))
"""
PARENT = """
import sys
from bmjax.console.guarded_process import run_guarded

sys.exit(run_guarded("child", sys.argv[1:], gone="the other one is gone"))
"""


@pytest.fixture
def guarded(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "parent.py").write_text(PARENT)
    paths = [str(tmp_path), os.getcwd()]

    def start(argument):
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "parent.py"), argument],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_the_exit_code_is_the_commands_own(guarded):
    assert guarded("3").wait(timeout=60) == 3


def test_an_abort_is_a_sentence_and_a_code(guarded):
    parent = guarded("abort")
    _, said = parent.communicate(timeout=60)
    assert parent.returncode == PEER_GONE
    assert "bmjax: the other one is gone\n" in said


def test_a_signal_reaches_the_command_and_a_killed_parent_ends_it(guarded):
    parent = guarded("wait")
    assert int(parent.stdout.readline()) > 0
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=60) == STOPPED

    parent = guarded("wait")
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait(timeout=60)
    end = time.monotonic() + 30
    while True:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        # A container's first process may leave the ended child unread.
        if _state(child) == "Z":
            return
        assert time.monotonic() < end
        time.sleep(0.1)


def _state(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""
