"""Nothing of a state that is saved may be other than finite."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax import faults
from bmjax.data.synthetic import synthesize
from bmjax.devices.mesh import make_mesh, put_batch, replicated
from bmjax.errors import NonFiniteError
from bmjax.main import main
from bmjax.methods import METHODS
from bmjax.run.compile import init_state, jit_step
from bmjax.run.finite_watch import FiniteWatch
from bmjax.run.non_finite import explain_non_finite
from bmjax.run.train import loop, skipped_notes
from bmjax.training.finite import NUMBERS, array_names, step_numbers
from bmjax.training.step import TrainState
from bmjax.types import Batch
from tests.helpers.toy_network import toy_network
from tests.helpers.toy_run import shapes_of, toy_run

ROOT = Path(__file__).parents[2]
KINDS = {
    "step.loss@3:nan": "loss",
    "step.gradient@3:nan": "gradient network.backbone.bias",
    "step.gradient@3:inf": "gradient network.backbone.bias",
    "step.parameter@3:inf": "parameter network.backbone.bias",
    "step.statistic@3:nan": "batch_statistic backbone.mean",
}


@pytest.fixture(scope="module")
def toy():
    """A run whose step compiles in a moment."""
    run = toy_run("supervised")
    method = METHODS["supervised"].make(
        toy_network(num_classes=3), recipe=run.learner.recipe
    )
    return run._replace(learner=run.learner._replace(method=method))


def batches(run):
    settings = run.settings.data
    random = np.random.Generator(np.random.PCG64(0))
    shape = (settings.batch_size, settings.size, settings.size, 3)
    labels = np.arange(settings.batch_size, dtype=np.int32) % 3
    while True:
        yield {"pixels": random.integers(0, 256, shape, np.uint8), "labels": labels}


def first_state(run):
    return init_state(run.learner, shapes_of(run), run.mesh)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[] if "gradient@3:nan" in fault else pytest.mark.slow)
        for fault in KINDS
    ],
)
def test_a_number_that_is_not_finite_stops_the_run_at_its_step(
    toy, fault, tmp_path, monkeypatch
):
    """Before anything is saved, and with at most two steps more begun."""
    monkeypatch.setenv(faults.VARIABLE, fault)
    begun, saved = [], []
    step = jit_step(toy.learner, toy.mesh)
    state = first_state(toy)

    def explain(step, metrics):
        return explain_non_finite(
            step,
            metrics,
            state=state,
            frozen=(),
            data=toy.data,
            batch_size=toy.settings.data.batch_size,
            rate=0.5,
            workdir=tmp_path,
        )

    with pytest.raises(NonFiniteError) as raised:
        loop(
            step,
            state,
            batches(toy),
            mesh=toy.mesh,
            first=0,
            total=100,
            save_every=2,
            log_every=100,
            save=lambda step, state: saved.append(step),
            log=lambda step, values: None,
            after_step=lambda: begun.append(1),
            numbers=FiniteWatch(explain=explain),
        )
    assert saved == [2]
    assert len(begun) <= 5
    path = tmp_path / "non_finite.json"
    said = str(raised.value)
    assert f"step 3 are not all finite, first {KINDS[fault]}" in said
    assert str(path) in said

    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (content["step"], content["learning_rate"]) == (3, 0.5)
    assert content["not_finite"][0] == KINDS[fault]
    size = toy.settings.data.batch_size
    paths = [toy.data.catalog.paths[toy.data.stream[i]] for i in range(3 * size)]
    assert content["images"] == paths[-size:]
    norms = content["norms"]
    assert list(norms["parameter"]) == array_names(state.params)
    kind, _, name = KINDS[fault].partition(" ")
    number = norms[kind][name] if name else content["metrics"]["loss"]
    assert number in ("nan", "inf")


def test_a_finite_gradient_of_infinite_length_is_not_finite():
    """An optimizer that keeps its square would keep an infinite one."""
    large = {"w": jnp.full(3, 1e30)}
    one = {"w": jnp.ones(3)}
    assert not step_numbers(jnp.float32(1), large, one, {}).finite
    assert step_numbers(jnp.float32(1), one, large, {}).finite


def test_a_skipped_step_changes_nothing_but_the_count(toy, monkeypatch):
    """So the steps after it see the state from before it, and their own images."""
    monkeypatch.setenv(faults.VARIABLE, "step.gradient@2:nan,step.statistic@3:inf")
    step = jit_step(toy.learner._replace(skips=True), toy.mesh)
    given, said, states = batches(toy), [], []
    state = first_state(toy)
    watch = FiniteWatch(most=2, say=said.append)
    for number in range(1, 5):
        states.append(jax.device_get(state))
        state, metrics = step(state, put_batch(Batch(**next(given)), toy.mesh))
        watch.add(number, metrics)
    watch.settle()
    states.append(jax.device_get(state))
    assert watch.skipped == [2, 3]
    assert "(1 of 2)" in said[0]
    assert [int(s.step) for s in states] == [0, 1, 2, 3, 4]
    same = lambda a, b: jax.tree.all(
        jax.tree.map(np.array_equal, dataclasses.replace(a, step=b.step), b)
    )
    assert [same(a, b) for a, b in itertools.pairwise(states)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_no_more_are_skipped_than_may_be(toy, monkeypatch):
    """Those of the run's earlier starts count."""
    monkeypatch.setenv(faults.VARIABLE, "step.loss@1:nan")
    step = jit_step(toy.learner._replace(skips=True), toy.mesh)
    batch = put_batch(Batch(**next(batches(toy))), toy.mesh)
    watch = FiniteWatch(most=2, skipped=[5, 8], say=pytest.fail)
    watch.add(9, step(first_state(toy), batch)[1])
    with pytest.raises(NonFiniteError, match="skip_non_finite = 2 lets no more pass"):
        watch.settle()
    assert watch.skipped == [5, 8]


@pytest.mark.parametrize("part", ["params", "batch_stats"])
def test_a_state_that_is_not_finite_is_found_at_its_step(part):
    mesh = make_mesh(1)
    one = jax.device_put(jnp.ones(2), replicated(mesh))
    bad = jax.device_put(jnp.array([1, jnp.inf]), replicated(mesh))
    state = TrainState(
        step=one, params={"w": one}, batch_stats={"mean": one}, method={}, opt={}
    )
    saved, look, loss = [], jax.jit(step_numbers), one.sum()

    def step(state, batch):
        step.made += 1
        if step.made == 3:
            state = dataclasses.replace(state, **{part: {"a": bad}})
        trees = {"w": one}, state.params, state.batch_stats
        return state, {NUMBERS: look(loss, *trees)}

    step.made = 0
    images = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(NonFiniteError, match="step 3"):
        loop(
            step,
            state,
            iter([{"pixels": images, "labels": np.zeros(1, np.int32)}] * 9),
            mesh=mesh,
            first=0,
            total=9,
            save_every=2,
            log_every=100,
            save=lambda step, state: saved.append(step),
            log=lambda step, values: None,
        )
    assert saved == [2]


@pytest.mark.slow
def test_a_run_that_skips_resumes_as_one_that_was_never_stopped(
    tmp_path, monkeypatch, capsys
):
    """It is stopped at its limit, goes on with a higher one, and is killed."""
    cells = synthesize(tmp_path / "cells", images=230, seed=0)
    command = [
        "--config=supervised:smoke",
        f"--config.data.root={cells}",
        "--config.mesh.devices=1",
        "--config.train.duration=6 steps",
    ]

    def arguments(name, most):
        workdir = f"--workdir={tmp_path / name}"
        return [*command, workdir, f"--config.train.skip_non_finite={most}"]

    bad = "step.gradient@2:nan,step.gradient@4:inf"
    monkeypatch.setenv(faults.VARIABLE, bad)
    assert main(arguments("run", 1)) == 4
    said = capsys.readouterr()
    assert "(1 of 1)" in said.out
    assert "skip_non_finite = 1 lets no more pass" in said.err
    assert said.err.count("\n") == 1
    fault = f"{bad},checkpoint.saved@5:kill"
    killed = subprocess.run(
        [sys.executable, "-m", "bmjax.main", *arguments("run", 2)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "4", faults.VARIABLE: fault},
    )
    assert killed.returncode == -signal.SIGKILL
    assert "resuming after step 3" in killed.stdout
    assert "(2 of 2)" in killed.stdout
    # The evaluation tells nothing more: a full disk ends both before it.
    for name, fault in (("whole", f"{bad},"), ("run", "")):
        # What was skipped is known without the fault.
        monkeypatch.setattr(faults, "_done", set())
        monkeypatch.setenv(faults.VARIABLE, f"{fault}features.writing:full")
        assert main(arguments(name, 2)) == 5
    found, expected = (
        json.loads((tmp_path / name / "checkpoints" / "6.json").read_text())
        for name in ("run", "whole")
    )
    assert found["state_sha256"] == expected["state_sha256"]
    assert found["meta"]["skipped"] == expected["meta"]["skipped"] == [2, 4]
    assert skipped_notes([2, 4])[0].startswith("2 step(s) whose numbers were not")
    rates = [
        json.loads(line)["train/learning_rate"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert len(rates) == 6
    assert rates[1] == rates[2]  # the second step has not used its rate up
