"""From a list of runs to a page: tiny runs, a probe, a baseline, their differences."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import small_runs
from experiments.small_runs import Experiment
from experiments.small_systems import Baseline, ShownRun


class Majority:
    """Predicts the class with the most training images."""

    def fit(self, features, labels):
        assert features.shape == (len(labels), 3)
        self.most = np.bincount(labels).argmax()

    def predict(self, features):
        return np.full(len(features), self.most)


def mean_color(image):
    return image.mean(axis=(0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_runs_become_a_page(tmp_path, monkeypatch, capsys, seeds):
    single = len(seeds) == 1
    experiment = Experiment(
        folder="2026-01-01-tiny",
        title="Tiny",
        about="{n_train} training images; tail: {tail}.",
        runs={"own": ("--config=configs/supervised.py:smoke",)},
        rows={
            "own": ShownRun("own classifier", "own"),
            "probe": ShownRun("probe", "own", True),
            **({"majority": Baseline("m", 16, mean_color, Majority)} if single else {}),
        },
        metrics={"accuracy": "accuracy", "tail": "tail"},
        pairs=(("probe", "own"), *([("own", "majority")] if single else [])),
        seeds=seeds,
        data=False,
        curves=("train/loss",),
        drawn="own",
    )
    out = tmp_path / "out"
    monkeypatch.setattr(
        "sys.argv", ["tiny", f"--workdir={tmp_path / 'work'}", f"--out={out}"]
    )
    assert small_runs.main(experiment, "tiny runs") == 0
    stored = json.loads((out / "figures.json").read_text())
    files = small_runs.result_files(experiment, stored)
    assert {name: (out / name).read_text() for name in files} == files
    assert set(files) == {"RESULT.md", "curve.svg"}
    first = small_runs.run_folder(experiment, tmp_path / "work", "own", 0)
    results = json.loads((first / "results.json").read_text())
    assert stored["rows"]["own"][0]["accuracy"] == results["accuracy"]
    probe = results["probe"]["linear"]["accuracy"]
    assert stored["rows"]["probe"][0]["accuracy"] == pytest.approx(probe, abs=0.01)
    assert len(stored["rows"]["own"]) == len(seeds)
    if single:
        estimate, low, high = stored["differences"][1]["accuracy"]
        rows = stored["rows"]
        known = rows["own"][0]["accuracy"] - rows["majority"][0]["accuracy"]
        assert estimate == pytest.approx(known)
        assert low <= estimate <= high
    else:
        assert "Differences seed by seed" in files["RESULT.md"]


@pytest.mark.parametrize("jobs", [1, 2, 3, 5, 7])
def test_jobs_share_the_cores_and_no_two_have_one(monkeypatch, jobs):
    cores = {0, 2, 3, 5, 8}
    monkeypatch.setattr(
        small_runs.os, "sched_getaffinity", lambda process: cores, raising=False
    )
    shares = small_runs.shares_of_cores(jobs)
    if jobs > len(cores):
        assert shares == []
        return
    assert len(shares) == jobs
    assert sum(map(len, shares)) == len(cores)
    assert set.union(*shares) == cores
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_run_comes_after_the_one_that_it_starts_from(tmp_path, monkeypatch):
    experiment = Experiment(
        folder="2026-01-01-tiny",
        title="",
        runs={
            "first": ("--config=vit:smoke",),
            "fails": ("--config=vit:small",),
            "second": ("--config=dinobloom:smoke", "--config.init_from={first}"),
            "third": ("--config=vit:smoke", "--config.init_from={fails}"),
        },
        rows={},
        metrics={},
        seeds=(3, 4),
        folds=(0, 2),
    )
    made = []

    def run(command, **files):
        made.append(command[3:])
        return SimpleNamespace(returncode=5 * ("--config=vit:small" in command))

    monkeypatch.setattr(small_runs.subprocess, "run", run)
    code = small_runs.make_runs(experiment, tmp_path, "cells", jobs=3)
    assert code == 5
    assert len(made) == 3 * 4  # no run begins from one that failed
    places = {
        next(a for a in given if a.startswith("--workdir=")): place
        for place, given in enumerate(made)
    }
    for seed, fold in ((3, 0), (3, 2), (4, 0), (4, 2)):
        name = f"--workdir={tmp_path}/{{}}-{seed}-fold-{fold}"
        second = made[places[name.format("second")]]
        assert f"--config.init_from={tmp_path}/first-{seed}-fold-{fold}" in second
        assert f"--config.data.fold={fold}" in second
        assert f"--config.seed={seed}" in second
        assert "--config.data.root=cells" in second
        assert places[name.format("first")] < places[name.format("second")]
