"""A step does not fetch the same memory from the system again and again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from bmjax.runtime import start_jax
start_jax(devices=1)
import jax, jax.numpy as jnp

@jax.jit
def step(x):
    wide = jax.lax.optimization_barrier(x + 1)  # 64 MB of temporaries
    return wide @ wide.T

x = jnp.ones((160, 100_000))
now = 0
for _ in range(8):
    step(x).block_until_ready()
    before, now = now, resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(now - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_a_steps_memory_is_kept_for_the_next(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": "", "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    pages = 64_000_000 // 4096
    assert int(done.stdout) < pages / 10
