"""Whole runs of the shipped configurations' smoke variants."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from bmjax import faults
from bmjax.data.prepared.prepare import prepare
from bmjax.data.synthetic import synthesize
from bmjax.export.__main__ import main as export
from bmjax.main import main
from bmjax.training import checkpoint

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    path.stem for path in (ROOT / "configs").glob("*.py") if path.stem[0] != "_"
)
CONFIGS.remove("common")
CONTRACT = {
    "method", "network", "split", "fold", "n_train", "n_test", "accuracy",
    "balanced_accuracy", "macro_f1", "weighted_f1", "macro_f1_without_rare",
    "per_class", "probe", "steps", "seconds", "images_per_second", "params_sha256",
    "data_fingerprint", "versions", "intervals", "by_frequency", "roc_auc", "confusion",
    "absent", "rare", "lineage", "calibration", "notes", "assessment",
}  # fmt: skip
TIMES = ("seconds", "images_per_second")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


def command(config, workdir, cells, *more):
    return [
        f"--config=configs/{config}.py:smoke",
        f"--workdir={workdir}",
        f"--config.data.root={cells}",
        "--config.mesh.devices=1",
        *more,
    ]


def results(workdir):
    return json.loads((workdir / "results.json").read_text())


def logged_steps(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cells):
    """One uninterrupted run of each configuration, made when first asked for."""
    done = {}

    def run(config):
        if config not in done:
            workdir = tmp_path_factory.mktemp(config) / "run"
            assert main(command(config, workdir, cells)) == 0
            done[config] = workdir
        return done[config]

    return run


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(c, marks=[] if c in ("swav", "supervised") else [pytest.mark.slow])
        for c in CONFIGS
    ],
)
def test_a_run_leaves_what_it_promises(config, finished):
    workdir = finished(config)
    found = results(workdir)
    assert found.keys() >= CONTRACT
    assert found["steps"] == 2
    assert {"linear", "logistic", "knn_1", "knn_20"} <= found["probe"].keys()
    # Only a classifier on frozen features has images left to fit a temperature on.
    scaled = found["calibration"]["temperature"]
    assert (scaled is not None) == (found["predictor"] == "linear")
    assert (workdir / "atlas.json").exists() == (config in ("swav", "dino", "ibot"))
    assert len(found["per_class"]) == 21
    assert sum(entry["support"] for entry in found["per_class"]) == found["n_test"]
    assert (workdir / "report.html").read_text().lower().startswith("<!doctype html")
    assert list(workdir.glob("events.out.tfevents.*"))
    assert logged_steps(workdir) == [1, 2]

    with open(workdir / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["n_test"]
    right = [row["label"] == row["predicted"] for row in rows]
    assert np.mean(right) == pytest.approx(found["accuracy"])
    names = [key for key in rows[0] if key.startswith("p_")]
    assert names == [f"p_{entry['abbreviation']}" for entry in found["per_class"]]
    for row in rows:
        shares = {name: float(row[name]) for name in names}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert max(shares, key=shares.get) == "p_" + row["predicted"]


def test_a_finished_run_asked_again_says_so_and_touches_nothing(
    finished, cells, capsys
):
    workdir = finished("swav")
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
    assert main(command("swav", workdir, cells)) == 0
    assert "already complete" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*")} == before


def test_another_configuration_may_not_have_the_workdir(finished, cells, capsys):
    workdir = finished("swav")
    again = command("swav", workdir, cells, "--config.seed=5")
    assert main(again) == 2
    assert "seed was 0, is 5" in capsys.readouterr().err


def start(config, workdir, cells, *more, fault=""):
    return subprocess.Popen(
        [sys.executable, "-m", "bmjax.main", *command(config, workdir, cells, *more)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As this process has them: the devices share the threads that add things up.
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "4", faults.VARIABLE: fault},
    )


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)


LONGER = ("--config.train.duration=6 steps",)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, cells):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert main(command("swav", workdir, cells, *LONGER)) == 0
    return results(workdir) | {"workdir": workdir}


@pytest.mark.parametrize(
    ("point", "goes_on"),
    [
        ("saved@2", "resuming after step 2"),
        pytest.param("staged@1", "", marks=pytest.mark.slow),
        pytest.param("renamed@4", "resuming after step 4", marks=pytest.mark.slow),
        # Of step 4, when step 6 has been saved.
        pytest.param("removing@4", "resuming after step 6", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_ends_as_one_that_was_never_killed(
    point, goes_on, uninterrupted, tmp_path, cells, capsys
):
    workdir = tmp_path / "run"
    fault = f"checkpoint.{point}:kill"
    process = start("swav", workdir, cells, *LONGER, fault=fault)
    said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert not (workdir / "report.html").exists()

    assert main(command("swav", workdir, cells, *LONGER)) == 0
    said = capsys.readouterr().out
    assert goes_on in said if goes_on else "resuming" not in said
    left = {p.name.split(".", 1)[-1] for p in (workdir / "checkpoints").iterdir()}
    assert left == {"5", "6", "json"}
    found = results(workdir)
    assert {key: found[key] for key in found if key not in TIMES} == {
        key: uninterrupted[key] for key in found if key not in TIMES
    }
    assert logged_steps(workdir) == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_sigterm_saves_and_says_so_by_its_code(uninterrupted, tmp_path, cells):
    workdir = tmp_path / "run"
    process = start("swav", workdir, cells, *LONGER)
    wait_for(workdir / "checkpoints" / "1.json", process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    assert process.returncode == 75, said
    assert "the same command goes on" in said
    assert main(command("swav", workdir, cells, *LONGER)) == 0
    assert results(workdir)["params_sha256"] == uninterrupted["params_sha256"]


@pytest.mark.slow
def test_a_second_process_may_not_have_the_workdir(tmp_path, cells):
    workdir = tmp_path / "run"
    process = start("swav", workdir, cells, "--config.train.duration=9999 steps")
    wait_for(workdir / "checkpoints" / "1.json", process)
    second = start("swav", workdir, cells, "--config.train.duration=9999 steps")
    said, _ = second.communicate()
    process.kill()
    process.communicate()
    assert second.returncode == 2
    assert "in use by another process" in said


@pytest.mark.slow
def test_another_labs_classes_work_and_an_unreadable_image_is_named(
    tmp_path, cells, capsys
):
    lab = tmp_path / "lab"
    for name in ("EBO", "LYT", "NGS"):
        target = lab / f"our {name.lower()} cells"
        os.makedirs(target)
        for image in (cells / name).glob("*.jpg"):
            os.link(image, target / image.name)
    workdir = tmp_path / "run"
    # Their probe is fitted on augmented images, drawn evenly: the other options.
    probe = ("--config.probe.augmented_passes=2", "--config.probe.sampling=balanced")
    assert main(command("supervised", workdir, lab, *probe)) == 0
    found = results(workdir)
    names = [entry["name"] for entry in found["per_class"]]
    assert names == ["our ebo cells", "our lyt cells", "our ngs cells"]
    assert found["lineage"]["not_in_table"]["classes"] == names
    # Its classes were drawn evenly, and are not as many each.
    drawn = found["calibration"]["prior_correction"]["trained"]
    np.testing.assert_allclose(list(drawn.values()), np.full(3, 1 / 3))

    broken = next((lab / "our ngs cells").glob("*.jpg"))
    broken.unlink()
    broken.write_bytes(b"no image")
    capsys.readouterr()
    assert main(command("supervised", tmp_path / "second", lab)) == 3
    said = capsys.readouterr().err
    assert broken.name in said
    assert said.count("\n") == 1
    assert not (tmp_path / "second" / "checkpoints").exists()


def test_a_changed_data_folder_is_refused(tmp_path, cells, capsys):
    copy = tmp_path / "cells"
    for image in cells.rglob("*.jpg"):
        target = copy / image.relative_to(cells)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(image, target)
    workdir = tmp_path / "run"
    assert main(command("supervised", workdir, copy)) == 0
    (workdir / "report.html").unlink()
    next(copy.rglob("*.jpg")).unlink()
    assert main(command("supervised", workdir, copy)) == 3
    assert "fingerprint" in capsys.readouterr().err


def test_a_prepared_set_gives_the_folders_run_and_either_may_follow_the_other(
    finished, tmp_path, cells, capsys
):
    stored = tmp_path / "set"
    prepare(str(cells), out=stored)
    workdir = tmp_path / "run"
    assert main(command("supervised", workdir, stored)) == 0
    found, from_folder = results(workdir), results(finished("supervised"))
    assert found["params_sha256"] == from_folder["params_sha256"]
    assert found["data_fingerprint"] == from_folder["data_fingerprint"]
    assert found["per_class"] == from_folder["per_class"]
    # A finished run is its own from the other; one that has to go on goes on.
    capsys.readouterr()
    assert main(command("supervised", workdir, cells)) == 0
    assert "already complete" in capsys.readouterr().out
    (workdir / "report.html").unlink()
    assert main(command("supervised", workdir, cells)) == 0
    assert results(workdir)["params_sha256"] == found["params_sha256"]


def features(workdir):
    return np.load(workdir / "features" / "test.npy")


@pytest.mark.slow
def test_a_run_starts_from_anothers_backbone(finished, tmp_path, cells, capsys):
    before = finished("swav")
    more = (
        f"--config.init_from={before}",
        "--config.train.duration=0 steps",
        "--config.data.split=holdout",
    )
    workdir = tmp_path / "run"
    assert main(command("supervised", workdir, cells, *more)) == 0
    assert "backbone, classifier (new)" in capsys.readouterr().out
    # The same images through the same backbone.
    np.testing.assert_allclose(features(before), features(workdir), rtol=1e-5)

    leaking = [*more[:2], "--config.data.fold=1"]
    assert main(command("supervised", tmp_path / "leaking", cells, *leaking)) == 2
    assert "; use its split, --config.data.split=" in capsys.readouterr().err

    wrong = (*more, "--config.model.name=resnet10_w32")
    assert main(command("supervised", tmp_path / "other", cells, *wrong)) == 5
    assert "--config.model.name=resnet_tiny" in capsys.readouterr().err


@pytest.mark.slow
def test_an_exported_network_is_the_run_and_keeps_its_split(
    finished, tmp_path, cells, capsys
):
    before, file = finished("supervised"), tmp_path / "weights.safetensors"
    assert export([str(before), f"--out={file}"]) == 0
    assert "resnet_tiny of supervised, step 2" in capsys.readouterr().out
    assert export([str(before), f"--out={file}"]) == 2
    assert "--force" in capsys.readouterr().err

    more = (f"--config.init_from={file}", "--config.train.duration=0 steps")
    workdir = tmp_path / "run"
    assert main(command("finetune", workdir, cells, *more)) == 0
    said = capsys.readouterr().out
    assert "backbone, classifier\n" in said
    assert ["classifier", "2", "0", "0", "0"] in [r.split() for r in said.splitlines()]
    np.testing.assert_allclose(features(before), features(workdir), rtol=1e-5)
    # The classifier too: each image is called the same.
    names = ("accuracy", "macro_f1", "weighted_f1")
    for name in names:
        assert results(workdir)[name] == results(before)[name]

    leaking = [*more, "--config.data.fold=1"]
    assert main(command("finetune", tmp_path / "leaking", cells, *leaking)) == 2
    assert "; use its split, --config.data.split=" in capsys.readouterr().err

    fewer = [*more, "--config.data.exclude=BLA"]
    assert main(command("finetune", tmp_path / "fewer", cells, *fewer)) == 5
    assert "--config.init_new_classifier=True" in capsys.readouterr().err
    fewer.append("--config.init_new_classifier=True")
    assert main(command("finetune", tmp_path / "fewer", cells, *fewer)) == 0
    assert "classifier (new)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_projection_head_and_prototypes_go_on_and_a_student_too(
    finished, tmp_path, cells, capsys
):
    before = finished("swav")
    more = (f"--config.init_from={before}", "--config.train.duration=0 steps")
    workdir = tmp_path / "run"
    assert main(command("dino", workdir, cells, *more)) == 0
    # DINO's head is another kind; prototypes of SwAV's number and width fit.
    said = capsys.readouterr().out
    assert "backbone, projection head (new), prototypes\n" in said
    saved = checkpoint.read(
        workdir / "checkpoints", 0, jax.sharding.SingleDeviceSharding(jax.devices()[0])
    )["params"]
    jax.tree.map(
        np.testing.assert_array_equal,
        saved["network"]["backbone"],
        saved["student"]["network"]["backbone"],
    )
    np.testing.assert_array_equal(saved["prototypes"], saved["student"]["prototypes"])


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(
    tmp_path, cells, capsys
):
    workdir = tmp_path / "run"
    wild = ("--config.optim.learning_rate=1e38", "--config.train.duration=9 steps")
    assert main(command("supervised", workdir, cells, *wild)) == 4
    said = capsys.readouterr().err
    assert "config.optim.learning_rate" in said
    assert said.count("\n") == 1
    found = checkpoint.newest(workdir / "checkpoints")
    if found:  # what stood before the parameters went
        saved = checkpoint.read(
            workdir / "checkpoints",
            found[0],
            jax.sharding.SingleDeviceSharding(jax.devices()[0]),
        )
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved))


def losses(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["train/loss"] for line in lines]


@pytest.mark.slow
def test_four_devices_on_synthetic_cells_end_as_one_device_on_a_folder(
    finished, tmp_path, cells
):
    workdir = tmp_path / "run"
    # What a kill while drawing leaves behind is no one else's file.
    (workdir / ".cells-left").mkdir(parents=True)
    again = command("swav", workdir, cells, "--config.mesh.devices=4")
    assert main([a for a in again if "data.root" not in a]) == 0
    found, one = results(workdir), results(finished("swav"))
    assert found["devices"] == 4
    assert found["data_fingerprint"] == one["data_fingerprint"]
    # float32, the same numbers added in another order.
    np.testing.assert_allclose(losses(workdir), losses(finished("swav")), rtol=1e-4)


@pytest.mark.slow
def test_a_run_may_go_on_with_other_devices(uninterrupted, tmp_path, cells):
    workdir = tmp_path / "run"
    process = start("swav", workdir, cells, *LONGER)
    wait_for(workdir / "checkpoints" / "2.json", process)
    process.kill()
    process.communicate()
    assert (
        main(command("swav", workdir, cells, *LONGER, "--config.mesh.devices=4")) == 0
    )
    whole = losses(uninterrupted["workdir"])
    np.testing.assert_allclose(losses(workdir), whole, rtol=1e-3)


@pytest.mark.slow
def test_training_outlives_whoever_read_its_output(tmp_path, cells):
    workdir = tmp_path / "run"
    arguments = " ".join(command("supervised", workdir, cells))
    line = (
        f"{sys.executable} -m bmjax.main {arguments} | head -n 1; echo ${{PIPESTATUS}}"
    )
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert "the run goes on without it" in done.stderr
    assert results(workdir)["steps"] == 2
    assert (workdir / "report.html").exists()


@pytest.mark.slow
def test_a_signal_during_compilation_ends_the_run_with_its_own_code(tmp_path, cells):
    """The cache is cold; what a compiler that was cut off leaves ends no process."""
    arguments = command("supervised", tmp_path / "run", cells)
    process = subprocess.Popen(
        [sys.executable, "-m", "bmjax.main", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cold")},
    )
    for line in process.stdout:
        if "images once" in line:  # the last before the compilation
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 75, said
    assert "what was saved before stands" in said
