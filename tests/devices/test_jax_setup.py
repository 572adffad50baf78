"""A second start takes its programs from the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmjax.devices import jax_setup
from bmjax.errors import ConfigError

ROOT = Path(__file__).parents[2]
# Compiles what a run compiles before its first step, and counts what the cache says.
START = """
import collections, json
import jax
from bmjax.devices.jax_setup import noted_cache_hits, start_jax
from tests.helpers.toy_run import shapes_of, toy_run

seen = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: seen.update([name]))
start_jax(devices=2)
from bmjax.run.compile import compile_step, init_state

run = toy_run("swav", **{"mesh.devices": 2})
state = init_state(run.learner, shapes_of(run), run.mesh)
with noted_cache_hits() as hits:
    compile_step(run.learner, state, shapes_of(run), run.mesh)
prefix = "/jax/compilation_cache/cache_"
figures = {kind: seen[prefix + kind] for kind in ("hits", "misses")}
print(json.dumps(figures | {"step": len(hits)}))
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing_wherever_it_is_started(tmp_path):
    def start(folder):
        folder.mkdir()
        cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", START],
            cwd=folder,
            env=os.environ | cache,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    first, second = start(tmp_path / "one"), start(tmp_path / "two")
    assert (first["hits"], first["step"]) == (0, 0)
    assert first["misses"] >= 1
    assert second == {"hits": first["misses"], "misses": 0, "step": 1}


def test_memory_is_kept_for_a_cpu_alone(monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    found = {"jax_plugins": ()}
    monkeypatch.setattr(
        jax_setup.importlib.metadata, "entry_points", lambda group: found[group]
    )
    assert not jax_setup._accelerator_expected()
    found["jax_plugins"] = ("xla_cuda13",)
    assert jax_setup._accelerator_expected()
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert not jax_setup._accelerator_expected()


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match=r"config\.train\.precision.*tensorfloat32"):
        jax_setup.start_jax(devices=1, precision="tf32")


@pytest.mark.parametrize("home", ["missing", "read-only"])
def test_a_run_needs_no_home_that_can_be_written(home, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home == "missing":

        def no_home():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", no_home)
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setattr(Path, "home", lambda: tmp_path / "file")
    assert jax_setup._program_cache() is None
    said = capsys.readouterr().err
    assert "compiled programs are not kept" in said
    assert "set XDG_CACHE_HOME" in said
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert jax_setup._program_cache() == tmp_path / "new" / "bmjax"
    assert capsys.readouterr().err == ""
