"""A worker process ends with the process it works for, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.small_trees import write_tree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="sessions are seen in /proc"),
]

LOADER = """
import itertools, sys, time
import numpy as np
from bmjax.data.images.folder import read_folder
from bmjax.data.pipeline import training_batches
from bmjax.data.sampling import make_stream

if __name__ == "__main__":
    catalog = read_folder(sys.argv[1])
    stream = make_stream(
        np.arange(len(catalog)), catalog.labels, sampling="natural", per_class=0, seed=0
    )
    batches = training_batches(
        catalog, stream, size=12, batch_size=2, first_step=0, threads=1, prefetch=2,
        workers=2,
    )
    list(itertools.islice(batches, 2))
    time.sleep(600)
"""


def of_session(number):
    """Processes of a session that have not ended, by their numbers."""
    living = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may hold anything: state, parent, group, session.
            state, _, _, session = (
                (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            )
        except OSError:  # it has ended meanwhile
            continue
        if int(session) == number and state != "Z":
            living.add(int(folder.name))
    return living


def wait_until(condition, *, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def command(request, tmp_path):
    """A command that starts two workers and gives them work for long."""
    names = [f"{c}/{c}_{n:05d}.png" for c in ("AAA", "BBB") for n in range(4)]
    tree = write_tree(tmp_path / "cells", names)
    if request.param == "loader":
        script = tmp_path / "loader.py"
        script.write_text(LOADER)
        return [sys.executable, str(script), str(tree)]
    if request.param == "verify":
        for number in range(20_000):
            os.link(tree / names[0], tree / "AAA" / f"{number}.png")
        return [sys.executable, "-m", "bmjax.data", "verify", str(tree), "--workers=2"]
    code = (
        "from bmjax.data.synthetic import synthesize\n"
        "if __name__ == '__main__':\n"
        f"    synthesize({str(tmp_path / 'out')!r}, images=20_000, seed=0, workers=2)\n"
    )
    script = tmp_path / "draw.py"
    script.write_text(code)
    return [sys.executable, str(script)]


@pytest.mark.parametrize("command", ["loader", "verify", "synthesize"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_no_worker_outlives_the_process_it_works_for(command, number):
    process = subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    try:
        # The two, and what counts their shared memory.
        assert wait_until(lambda: len(of_session(process.pid)) >= 4, seconds=120)
        time.sleep(3)  # so that they are at work
        assert process.poll() is None
        process.send_signal(number)
        process.wait(30)
        assert wait_until(lambda: not of_session(process.pid), seconds=30)
    finally:
        for left in of_session(process.pid):
            os.kill(left, signal.SIGKILL)
