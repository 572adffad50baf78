"""What is said before the first step."""

from types import SimpleNamespace
from unittest.mock import create_autospec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.devices.mesh import make_mesh
from bmjax.run.summary import describe_program


@pytest.fixture(scope="module")
def compiled():
    square = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    return jax.jit(jnp.matmul).lower(square, square).compile()


def _said(mesh, compiled):
    lines = []
    describe_program(mesh, 10**9, compiled, 3.0, lines.append)
    return lines


def test_a_cpu_run_says_its_least_time(compiled):
    (line,) = _said(make_mesh(1), compiled)
    assert line.startswith("compiled in 3 s; ")
    assert line.endswith(" or more in all, by a rough measure")


def test_no_time_is_said_where_xla_does_not_count_the_operations(compiled):
    gpu = SimpleNamespace(platform="gpu")
    mesh = create_autospec(jax.sharding.Mesh, instance=True)
    mesh.devices = np.array([gpu])
    (line,) = _said(mesh, compiled)
    assert line.startswith("compiled in 3 s; ")
    assert "in all" not in line
