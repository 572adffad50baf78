"""What a machine is said to have."""

import jax.numpy as jnp
import pytest

from bmjax.devices import hardware as machine
from bmjax.devices.mesh import make_mesh


def test_a_cpus_memory_is_what_is_available_or_what_its_group_leaves(monkeypatch):
    monkeypatch.setattr(machine, "_available", lambda: 500)
    monkeypatch.setattr(machine, "_cgroup_rooms", lambda: [None, 300])
    assert machine.memory_left(make_mesh(2)) == (300, "in this machine", True)
    monkeypatch.setattr(machine, "_cgroup_rooms", lambda: [None, 700])
    assert machine.memory_left(make_mesh(1)).size == 500
    monkeypatch.setattr(machine, "_available", lambda: None)
    monkeypatch.setattr(machine, "_cgroup_rooms", lambda: [])
    assert machine.memory_left(make_mesh(1)) is None


def test_cached_files_in_a_control_group_can_be_taken(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 300\n")
    room = lambda: machine._room(tmp_path, "memory.max", "memory.current")
    assert room() == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert room() is None


def test_a_matrix_product_counts_what_every_device_does():
    one, operations = machine.make_matrix_product(make_mesh(1), jnp.float32)
    four, of_four = machine.make_matrix_product(make_mesh(4), jnp.float32)
    assert of_four == 4 * operations
    assert len(four().sharding.device_set) == 4
    assert four().shape[0] == 4
    assert machine.matrix_speed(one, operations, seconds=0.01) > 0


def test_the_most_memory_held_names_its_holder():
    size, holder = machine.peak_memory(make_mesh(1))
    assert holder == "process"
    assert size == pytest.approx(1e9, rel=10)
    assert size > 50e6


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ("fpu avx avx2 avx512f", "Some CPU 3, AVX-512"),
        ("fpu avx avx2", "Some CPU 3, AVX2"),
        ("fpu", "Some CPU 3"),
    ],
)
def test_a_processor_is_named_with_its_widest_vectors(tmp_path, flags, shown):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: Some CPU 3\nflags\t\t: {flags}\n\n")
    assert machine.processor(file) == shown


def test_a_processor_that_no_file_describes_has_a_name(tmp_path):
    assert machine.processor(tmp_path / "none")
