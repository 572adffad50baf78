"""A step does not fetch the same memory from the system again and again."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from bmjax.devices.jax_setup import start_jax
start_jax(devices=1)
import jax, jax.numpy as jnp

@jax.jit
def step(x):
    wide = jax.lax.optimization_barrier(x + 1)  # 64 MB of temporaries
    return wide @ wide.T

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

x = jnp.ones((160, 100_000))
step(x).block_until_ready()
before = faults()
for _ in range(40):
    step(x).block_until_ready()
print(faults() - before)
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
    # Each step would fetch its pages anew. Kept memory is cut up at first, by smaller
    # pieces that come to lie in it, so that some more is fetched until all find room.
    pages = 40 * 64_000_000 // 4096
    assert int(done.stdout) < pages / 2
