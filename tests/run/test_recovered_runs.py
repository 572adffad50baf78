"""What happens to a run's folder between two starts: damage, full disks, lost files."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from bmjax import faults
from bmjax.errors import ConfigError
from bmjax.main import main
from bmjax.run.command_line import read_flags
from bmjax.run.train import train
from bmjax.run.workdir import note_saved
from bmjax.training.manifest import make_manifest
from tests.helpers.small_run import small_run

pytestmark = pytest.mark.slow  # one run is made for all of them


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("finished"), "supervised")


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run that has its report still to make."""
    shutil.copytree(finished.workdir, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    return finished._replace(workdir=tmp_path / "run")


def arguments(run, *more):
    return [
        "--config=supervised:smoke",
        f"--workdir={run.workdir}",
        f"--config.data.root={run.cells}",
        "--config.mesh.devices=1",
        *more,
    ]


def digest(workdir):
    return json.loads((workdir / "results.json").read_text())["params_sha256"]


def said_once(capsys):
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("gone", ["checkpoints", "checkpoints/*", "checkpoints/*.json"])
def test_lost_checkpoints_are_never_a_silent_start_from_zero(copied, gone, capsys):
    for path in copied.workdir.glob(gone):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if gone != "checkpoints/*.json":
        (copied.workdir / "results.json").unlink()  # as of a run that was stopped
    before = (copied.workdir / "metrics.jsonl").read_bytes()
    assert main(arguments(copied)) == 5
    said = said_once(capsys)
    assert "another --workdir" in said
    assert "put them back" in said or "put the checkpoints back" in said
    assert (copied.workdir / "metrics.jsonl").read_bytes() == before


def test_results_without_checkpoints_are_refused_as_well(copied, capsys):
    shutil.rmtree(copied.workdir / "checkpoints")
    (copied.workdir / "last_checkpoint.json").unlink()  # an older version's
    assert main(arguments(copied)) == 5
    assert "was finished (results.json)" in said_once(capsys)


def test_the_owner_of_a_folder_is_looked_at_again_under_the_lock(copied):
    """Another run may have had it between the first look and the lock."""
    config, workdir = read_flags(arguments(copied, "--config.seed=5"))
    before = (workdir / "config.json").read_bytes()
    with pytest.raises(ConfigError, match="seed was 0, is 5"):
        train(config, workdir)
    assert (workdir / "config.json").read_bytes() == before


def flip(file):
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def test_what_was_damaged_is_made_anew_and_what_changed_is_said(
    finished, copied, capsys
):
    workdir, features = copied.workdir, copied.workdir / "features"
    flip(features / "train.npy")  # of the same length
    (features / "test.json").write_text("{garbage")
    content = json.loads((workdir / "checkpoints" / "2.json").read_text())
    content["meta"]["versions"]["jax"] = "0.0.1"
    kept = {key: content[key] for key in ("meta", "empty", "files", "state_sha256")}
    (workdir / "checkpoints" / "2.json").write_text(
        json.dumps(make_manifest(2, **kept))
    )
    note_saved(workdir, 3)
    assert main(arguments(copied, "--config.logs.every=2 steps")) == 0
    said = capsys.readouterr().out
    for part in ("train", "test"):
        assert f"kept features of the {part} part are made anew" in said
    assert "configuration: logs.every was" in said
    assert "is '2 steps'" in said
    assert f"resuming after step 2, parameters {digest(workdir)[:12]}" in said
    assert "was written with jax 0.0.1, and this is jax" in said
    assert "checkpoint 3 was saved and is no longer there" in said
    results = json.loads((workdir / "results.json").read_text())
    assert any("jax 0.0.1" in note for note in results["notes"])
    expected = json.loads((finished.workdir / "results.json").read_text())
    for key in ("params_sha256", "probe", "per_class"):
        assert results[key] == expected[key]


def test_a_finished_run_with_a_damaged_probe_is_evaluated_again(
    finished, tmp_path, capsys
):
    workdir = tmp_path / "run"
    shutil.copytree(finished.workdir, workdir)
    whole = (workdir / "features" / "linear.npz").read_bytes()
    flip(workdir / "features" / "linear.npz")
    assert main(arguments(finished._replace(workdir=workdir))) == 0
    assert "the linear probe is damaged" in capsys.readouterr().out
    assert len((workdir / "features" / "linear.npz").read_bytes()) == len(whole)
    assert main(arguments(finished._replace(workdir=workdir))) == 0
    assert "already complete" in capsys.readouterr().out


def test_a_run_that_is_killed_in_its_evaluation_is_evaluated_again(finished, copied):
    shutil.rmtree(copied.workdir / "features")
    killed = subprocess.run(
        [sys.executable, "-m", "bmjax.main", *arguments(copied)],
        capture_output=True,
        env={
            **os.environ,
            "JAX_NUM_CPU_DEVICES": "4",
            faults.VARIABLE: "features.writing:kill",
        },
    )
    assert killed.returncode == -signal.SIGKILL
    assert main(arguments(copied)) == 0
    for name in ("predictions.csv", "embedding.csv", "features/test.npy"):
        found, expected = (run.workdir / name for run in (copied, finished))
        assert found.read_bytes() == expected.read_bytes()
    assert digest(copied.workdir) == digest(finished.workdir)


def test_a_disk_that_fills_up_ends_a_run_in_a_sentence_and_loses_nothing(
    finished, tmp_path, monkeypatch, capsys
):
    """At a checkpoint, then in the evaluation; then there is room."""
    run = finished._replace(workdir=tmp_path / "run")
    monkeypatch.setattr(faults, "_done", set())
    full = "checkpoint.staged@2:full,features.writing:full"
    monkeypatch.setenv(faults.VARIABLE, full)
    every = "--config.checkpoint.every=1 steps"
    for place, newest in (("checkpoints/2", "1"), ("features/train.npy", "2")):
        assert main(arguments(run, every)) == 5
        said = said_once(capsys)
        assert place in said
        assert "No space left on device" in said
        assert "make room and start the same command again" in said
        steps = [int(p.stem) for p in (run.workdir / "checkpoints").glob("*.json")]
        assert str(max(steps)) == newest
        assert not list(run.workdir.rglob("*.part"))
    assert main(arguments(run, every)) == 0
    assert digest(run.workdir) == digest(finished.workdir)
