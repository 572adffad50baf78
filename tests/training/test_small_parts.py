"""Durations, keys, the mesh and what a workdir remembers."""

import jax
import numpy as np
import pytest

from bmjax.devices import mesh
from bmjax.errors import CheckpointError, ConfigError
from bmjax.run.metric_log import MetricLog
from bmjax.run.workdir import (
    check_nothing_lost,
    check_owner,
    claim,
    note_config,
    note_saved,
)
from bmjax.settings import to_steps
from bmjax.training.keys import key_for


def test_durations_say_their_unit():
    numbers = {"steps_per_epoch": 535, "key": "config.x"}
    assert to_steps("2 epochs", **numbers) == 1070  # the paper's frozen prototypes
    assert to_steps("1 epoch", **numbers) == 535
    assert to_steps("0.5 epochs", **numbers) == 267
    assert to_steps("500 steps", **numbers) == 500
    for wrong in ("2", "epochs", "-1 epochs", "2 hours", "1.5 steps", ""):
        with pytest.raises(ConfigError, match=r"config\.x = .* is no duration"):
            to_steps(wrong, **numbers)


def test_keys_differ_by_seed_name_and_step_and_by_nothing_else():
    names = [(s, n, t) for s in (0, 1) for n in ("views", "init") for t in (0, 1)]
    keys = {jax.random.key_data(key_for(*name)).tobytes() for name in names}
    assert len(keys) == 8
    traced = jax.jit(lambda step: jax.random.key_data(key_for(0, "views", step)))(1)
    np.testing.assert_array_equal(traced, jax.random.key_data(key_for(0, "views", 1)))


def test_the_mesh_has_one_auto_axis_and_deals_out_the_batch():
    four = mesh.make_mesh(4)
    assert four.axis_names == ("data",)
    assert four.axis_types == (jax.sharding.AxisType.Auto,)
    put = mesh.put_batch({"x": np.arange(8)}, four)["x"]
    assert [s.data.shape for s in put.addressable_shards] == [(2,)] * 4
    np.testing.assert_array_equal(put, np.arange(8))


def test_a_workdir_is_one_configurations_and_one_processes(tmp_path):
    config = {"seed": 0, "data": {"size": 96, "threads": 2}, "logs": {"every": "1"}}
    with claim(tmp_path):
        note_config(tmp_path, config)
        with pytest.raises(ConfigError, match=r"in use"), claim(tmp_path):
            pass
    harmless = {"seed": 0, "data": {"size": 96, "threads": 8}, "logs": {"every": "2"}}
    check_owner(tmp_path, harmless)
    other = {"seed": 0, "data": {"size": 64, "threads": 2}, "logs": {"every": "1"}}
    with pytest.raises(ConfigError, match=r"data\.size was 96, is 64"):
        check_owner(tmp_path, other)
    with pytest.raises(ConfigError, match=r"more was 'absent', is 1"):
        check_owner(tmp_path, {**config, "more": 1})


def test_the_keys_that_changed_are_given_with_both_values(tmp_path):
    config = {"seed": 0, "logs": {"every": "1"}}
    assert note_config(tmp_path, config) == []
    assert note_config(tmp_path, config) == []
    changed = {"seed": 0, "logs": {"every": "2"}}
    assert note_config(tmp_path, changed) == ["logs.every was '1', is '2'"]
    assert note_config(tmp_path, changed) == []


def test_a_run_that_was_saved_or_finished_does_not_begin_at_zero(tmp_path):
    check_nothing_lost(tmp_path)
    note_saved(tmp_path, 0)
    check_nothing_lost(tmp_path)
    note_saved(tmp_path, 8)
    with pytest.raises(CheckpointError, match=r"was saved at step 8, but its folder"):
        check_nothing_lost(tmp_path)
    (tmp_path / "last_checkpoint.json").write_text("{garbage")
    check_nothing_lost(tmp_path)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"was finished \(results\.json\)"):
        check_nothing_lost(tmp_path)


def test_metrics_beyond_the_checkpoint_are_forgotten(tmp_path):
    metrics = MetricLog(tmp_path, first_step=0)
    for step in (1, 2, 3):
        metrics.write(step, {"train/loss": float(step)})
    metrics.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "train/lo')  # a kill in the middle of a line
    metrics = MetricLog(tmp_path, first_step=2)
    metrics.write(3, {"train/loss": float("inf")})
    metrics.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert lines == [
        '{"step": 1, "train/loss": 1.0}',
        '{"step": 2, "train/loss": 2.0}',
        '{"step": 3, "train/loss": null}',
    ]
