"""A second start takes its programs from the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Compiles what a run compiles before its first step, and counts what the cache says.
START = """
import collections, json, sys
import jax
from bmjax.runtime import start_jax
from tests.toy_run import toy_run

seen = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: seen.update([name]))
start_jax(devices=2)
from bmjax.program import compile_step, init_state

run = toy_run("swav", **{"mesh.devices": 2, "seed": int(sys.argv[1])})
compile_step(run, init_state(run))
prefix = "/jax/compilation_cache/"
print(json.dumps({k: seen[prefix + k] for k in ("cache_hits", "cache_misses")}))
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing_wherever_it_is_started(tmp_path):
    def start(folder, seed):
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", START, str(seed)],
            cwd=folder,
            env={
                **os.environ,
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                "PYTHONPATH": str(ROOT),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    first = start(tmp_path / "one", seed=0)
    assert first["cache_hits"] == 0
    second = start(tmp_path / "two", seed=0)
    assert second["cache_misses"] == 0
    assert second["cache_hits"] == first["cache_misses"] >= 1
