"""Four devices made of the CPU, strict shapes, one cache of compiled programs."""

import os
from pathlib import Path

# What is tested is the mathematics: LLVM's optimizations cost more than they give back.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session", autouse=True)
def program_cache(tmp_path_factory):
    """Programs compiled once serve this process and those that tests start."""
    if "XDG_CACHE_HOME" not in os.environ:
        os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=4)


@pytest.fixture
def float64():
    """Double precision within one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def golden():
    """Recorded numbers of the public reference implementations, by file name."""
    return lambda name: np.load(GOLDEN / f"{name}.npz")


@pytest.fixture(scope="session")
def shared():
    """The folder of real cells and odd files, where there is one."""
    folder = os.environ.get("BMJAX_SHARED")
    if not folder:
        pytest.skip("BMJAX_SHARED is not set")
    return Path(folder)


def cases(archive):
    """Names of the cases in a golden archive."""
    return sorted({name.split("/")[0] for name in archive if "/" in name})
