"""Runs that several workers share: each is made once, and a killed one is no loss."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bmjax.parts import claims
from bmjax.parts.claims import FOLDER, held, take
from experiments.tables.job_array import job_array
from experiments.tables.plans import Job

ROOT = Path(__file__).parents[2]


def forget(folder, name, seconds):
    """As if the holder had last renewed its claim so many seconds ago."""
    path = folder / FOLDER / f"{name}.json"
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_claim_is_one_workers_until_it_ends_or_falls_silent(tmp_path):
    first = take(tmp_path, "run", silent=100.0)
    assert take(tmp_path, "run", silent=100.0) is None
    assert take(tmp_path, "other", silent=100.0) is not None
    with held(first, lambda: None):
        assert take(tmp_path, "run", silent=100.0) is None
    second = take(tmp_path, "run", silent=100.0)
    assert second is not None
    forget(tmp_path, "run", 101)
    third = take(tmp_path, "run", silent=100.0)
    assert third is not None
    # The one that was silent does not release what is another's by now.
    with held(second, lambda: None):
        pass
    assert take(tmp_path, "run", silent=100.0) is None
    left = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert left == {"run.json", "other.json"}


def test_of_many_that_take_over_at_once_one_does(tmp_path):
    for _ in range(20):
        assert take(tmp_path, "run", silent=1000.0)
        forget(tmp_path, "run", 2000)
        start, taken = threading.Barrier(8), []

        def worker(start=start, taken=taken):
            start.wait()
            taken.append(take(tmp_path, "run", silent=1000.0))

        threads = [threading.Thread(target=worker) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (claim,) = filter(None, taken)
        claim.path.unlink()
        assert not list((tmp_path / FOLDER).iterdir())


def test_a_claim_is_renewed_and_its_loss_is_noticed(tmp_path):
    claim = take(tmp_path, "run", silent=2.0)
    lost = threading.Event()
    with held(claim, lost.set):
        time.sleep(3)
        assert take(tmp_path, "run", silent=2.0) is None
        assert not lost.is_set()
        claim.path.write_text(json.dumps({"token": "another"}))
        assert lost.wait(10)
    assert claim.path.exists()


def test_a_job_array_has_a_task_for_each_run(tmp_path):
    todo = [
        Job("s", n, 0, tmp_path / f"run {n}", (f"--workdir={tmp_path}/run {n}",))
        for n in range(3)
    ]
    script = job_array("table3", todo)
    assert "#SBATCH --array=0-2" in script
    for number in range(3):
        done = subprocess.run(
            ["bash", "-c", script.replace("exec python -m", "echo")],
            env=os.environ | {"SLURM_ARRAY_TASK_ID": str(number)},
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"bmjax.main --workdir={tmp_path}/run {number}\n"


# A worker whose runs take a second, note that they were begun, and leave a file.
WORKER = """
import sys, types
from pathlib import Path
from experiments.tables import runs
from experiments.tables.plans import Job

folder = Path(sys.argv[1])
runs._RUN = "one_run"
runs.state = lambda job: "done" if (job.workdir / "done").exists() else "new"
folders = [folder / f"run{n}" for n in range(8)]
todo = [Job("s", n, 0, one, (str(one),)) for n, one in enumerate(folders)]
plan = types.SimpleNamespace(workdir=folder, scale="small")
sys.exit(runs.run_missing(plan, todo, silent=10.0))
"""
RUN = """
import sys, time
from pathlib import Path

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
with open(folder / "begun", "a") as file:
    file.write("x")
time.sleep(1)
(folder / "done").touch(exist_ok=False)
"""


@pytest.mark.slow
def test_four_workers_share_the_runs_and_one_is_killed(tmp_path):
    (tmp_path / "one_run.py").write_text(RUN)
    (tmp_path / "worker.py").write_text(WORKER)
    shared = tmp_path / "shared"
    shared.mkdir()
    command = [sys.executable, str(tmp_path / "worker.py"), str(shared)]
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    workers = [
        subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    killed = workers[0]
    assert "run" in killed.stdout.readline()  # it has begun one
    killed.send_signal(signal.SIGKILL)
    said = [worker.communicate(timeout=120)[0] for worker in workers[1:]]
    assert [worker.wait() for worker in workers[1:]] == [0, 0, 0], said
    begun = [len((shared / f"run{n}" / "begun").read_text()) for n in range(8)]
    assert all((shared / f"run{n}" / "done").exists() for n in range(8))
    # No run was made by two, but for the one that was killed on its way.
    assert sorted(begun)[:7] == [1] * 7
    assert max(begun) <= 2
    assert not list((shared / FOLDER).iterdir())
    killed.stdout.close()
    killed.wait()


def test_a_run_is_stopped_where_the_worker_that_started_it_is_killed(tmp_path):
    (tmp_path / "one_run.py").write_text(
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: os._exit(75))\n"
        "print('begun', flush=True)\n"
        "time.sleep(60)\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    run = subprocess.Popen(
        [sys.executable, "-m", "experiments.tables.watched", "one_run"],
        env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == "begun\n"
    run.stdin.close()  # as the end of the worker, however it comes, closes it
    assert run.wait(timeout=30) == 75
    run.stdout.close()


def test_the_default_outlives_what_nfs_remembers():
    assert claims.SILENT > 2 * 60
