"""Runs of two processes on one machine, over the loopback."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from bmjax.data.synthetic import synthesize
from bmjax.devices.mesh import make_mesh, replicated
from bmjax.errors import DONE, PEER_GONE, STOPPED
from bmjax.training.trained_network import read_run

ROOT = Path(__file__).parents[2]
HEARTBEAT = 5
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(arguments, log):
    with open(log, "ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def parameters(file):
    with np.load(file) as arrays:
        return dict(arrays)


def test_two_processes_train_as_one(cells, tmp_path):
    worker = "tests.helpers.two_processes"

    def steps(count):
        out, port = tmp_path / f"{count}.npz", free_port()
        all_of_them = [
            started(
                [worker, count, number, port, cells, out, "swav", "mixup"],
                tmp_path / f"{count}-{number}.log",
            )
            for number in range(count)
        ]
        codes = [one.wait(timeout=300) for one in all_of_them]
        logs = [path.read_text() for path in tmp_path.glob(f"{count}-*.log")]
        assert codes == [DONE] * count, logs
        return parameters(out)

    alone, together = steps(1), steps(2)
    assert alone.keys() == together.keys()
    for name, array in alone.items():
        np.testing.assert_allclose(together[name], array, rtol=0, atol=1e-5)


class Run:
    """A run of 80 steps that is started again and again."""

    def __init__(self, cells, workdir):
        self.workdir = workdir
        self.arguments = [
            "bmjax.main",
            "--config=supervised:smoke",
            f"--workdir={workdir}",
            f"--config.data.root={cells}",
            "--config.mesh.devices=4",
            f"--config.mesh.heartbeat={HEARTBEAT}",
            "--config.train.duration=80 steps",
            "--config.checkpoint.every=10 steps",
            "--config.logs.every=1 step",
        ]
        self.logs = []

    def start(self, processes):
        port, found = free_port(), []
        self.logs = []
        for number in range(processes):
            log = self.workdir.with_name(f"{self.workdir.name}-{number}.log")
            log.unlink(missing_ok=True)
            self.logs.append(log)
            more = [f"--config.mesh.processes={processes}"]
            if processes > 1:
                more += [
                    f"--config.mesh.coordinator=127.0.0.1:{port}",
                    f"--config.mesh.process={number}",
                ]
            found.append(started([*self.arguments, *more], log))
        return found

    def saved(self):
        try:
            note = (self.workdir / "last_checkpoint.json").read_text()
            return json.loads(note)["step"]
        except (OSError, ValueError):
            return 0

    def wait_for_save(self, beyond, running):
        end = time.monotonic() + 240
        while self.saved() <= beyond:
            assert time.monotonic() < end, self.said()
            assert all(one.poll() is None for one in running), self.said()
            time.sleep(0.02)

    def said(self):
        return [log.read_text() for log in self.logs]


def child_of(process):
    """The process that `run_guarded` started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(children.read_text().split()[0])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_whatever_happens_to_one_of_them_the_run_ends_as_one_of_one_process(
    cells, tmp_path
):
    run = Run(cells, tmp_path / "disturbed")

    first = run.start(2)
    run.wait_for_save(0, first)
    os.kill(child_of(first[0]), signal.SIGKILL)
    assert first[1].wait(timeout=60) == PEER_GONE
    assert "bmjax: process 1 " in run.said()[1]
    first[0].wait(timeout=60)

    second = run.start(1)
    run.wait_for_save(run.saved(), second)
    second[0].send_signal(signal.SIGTERM)
    assert second[0].wait(timeout=60) == STOPPED

    third = run.start(2)
    run.wait_for_save(run.saved(), third)
    killed = time.monotonic()
    os.kill(child_of(third[1]), signal.SIGKILL)
    assert third[0].wait(timeout=60) == PEER_GONE
    assert time.monotonic() - killed < 60
    assert "bmjax: process 0 was ended by jax" in run.said()[0]
    third[1].wait(timeout=60)

    fourth = run.start(2)
    run.wait_for_save(run.saved(), fourth)
    fourth[1].send_signal(signal.SIGTERM)
    assert [one.wait(timeout=60) for one in fourth] == [STOPPED, STOPPED]
    steps = [said.rpartition("saved at step ")[2].split(";")[0] for said in run.said()]
    assert int(steps[0]) == int(steps[1]) == run.saved()

    last = run.start(2)
    assert [one.wait(timeout=240) for one in last] == [DONE, DONE], run.said()
    assert "resuming after step" in run.said()[0]
    assert "resuming" not in run.said()[1]  # the first one speaks

    quiet = Run(cells, tmp_path / "undisturbed")
    assert quiet.start(1)[0].wait(timeout=240) == DONE, quiet.said()
    here = replicated(make_mesh(1))
    trees = [read_run(one.workdir, here).params for one in (run, quiet)]
    for ours, theirs in zip(*map(jax.tree.leaves, trees), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    tables = []
    for one in (run, quiet):
        with open(one.workdir / "predictions.csv", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    assert [row["path"] for row in tables[0]] == [row["path"] for row in tables[1]]
    for ours, theirs in zip(*tables, strict=True):
        for name in ours.keys() - {"path", "label", "predicted", "true"}:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), abs=1e-4)


def test_processes_with_other_settings_do_not_train_together(cells, tmp_path):
    run = Run(cells, tmp_path / "run")
    port = free_port()
    both = []
    for number in range(2):
        run.logs.append(tmp_path / f"{number}.log")
        more = [
            "--config.mesh.processes=2",
            f"--config.mesh.coordinator=127.0.0.1:{port}",
            f"--config.mesh.process={number}",
            f"--config.seed={number}",
        ]
        both.append(started([*run.arguments, *more], run.logs[-1]))
    assert [one.wait(timeout=120) for one in both] == [PEER_GONE, 2]
    assert "process 1 has config.seed = 1, and process 0 has 0" in run.said()[1]
    assert "since process 1 has ended: process 1 has config.seed" in run.said()[0]
