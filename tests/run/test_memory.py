"""A batch that memory cannot hold is refused, with one that fits."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bmjax.devices.hardware import Memory
from bmjax.errors import ConfigError
from bmjax.main import main
from bmjax.methods import METHODS
from bmjax.run import memory
from bmjax.run.compile import init_shapes
from tests.helpers.toy_network import toy_network, toy_recipe
from tests.helpers.toy_run import shapes_of, toy_run

TOY = METHODS["supervised"].make(toy_network(num_classes=3), recipe=toy_recipe)


def run_of(batch, devices=1, accumulate=1):
    changes = {
        "data.batch_size": batch,
        "mesh.devices": devices,
        "train.accumulate": accumulate,
    }
    return toy_run("supervised", **changes)


class Program(jax.stages.Compiled):
    """A compiled program that takes so much on each device."""

    __slots__ = ("stats",)

    def __init__(self, size, alias=0):
        self.stats = SimpleNamespace(
            argument_size_in_bytes=alias,
            output_size_in_bytes=alias,
            alias_size_in_bytes=alias,
            temp_size_in_bytes=size - alias,
        )

    def memory_analysis(self):
        return self.stats


@pytest.fixture
def check(monkeypatch):
    """Check a step that takes `fixed` and `part` divided by its chunks."""

    def check(run, *, left, fixed, part, shared=True):
        tried = []

        def compile_step(learner, state, shapes, mesh):
            tried.append(learner.chunks)
            return Program(fixed + part // learner.chunks)

        monkeypatch.setattr(memory, "compile_step", compile_step)
        monkeypatch.setattr(
            memory, "memory_left", lambda mesh: Memory(left, "in it", shared)
        )
        learner, shapes = run.learner._replace(method=TOY), shapes_of(run)
        nothing = jax.tree.map(lambda leaf: np.zeros(0), init_shapes(learner, shapes))
        program = Program(fixed + part // learner.chunks)
        memory.check_fits(learner, nothing, shapes, run.mesh, program)
        return tried

    return check


def test_what_a_program_wants_counts_given_away_memory_once():
    assert memory.wanted_bytes(Program(100, alias=30)) == 100


def test_a_step_that_fits_is_let_through(check):
    assert check(run_of(16), left=110, fixed=10, part=100) == []


def test_the_message_has_the_batch_what_is_wanted_what_is_had_and_what_fits(check):
    with pytest.raises(ConfigError) as error:
        check(run_of(16), left=4 * 10**9, fixed=10**9, part=8 * 10**9)
    said = str(error.value)
    assert "config.data.batch_size = 16 wants 9 GB" in said
    assert "4 GB are free in it" in said
    # 9 / 4 chunks would not fit, and 1 + 8 / 4 do.
    assert "--config.train.accumulate=4 fits" in said
    assert error.value.exit_code == 2


def test_more_chunks_than_a_run_has_already_are_proposed(check):
    with pytest.raises(ConfigError, match="accumulate=8 fits"):
        check(run_of(16, accumulate=4), left=150, fixed=50, part=800)


def test_chunks_divide_the_share_of_each_device(check):
    # 48 on 4 devices: 12 each, so 5 chunks would do and 6 are proposed.
    with pytest.raises(ConfigError, match="accumulate=6 fits"):
        check(run_of(48, devices=4), left=4 * 200, fixed=0, part=1000)


def test_devices_of_a_cpu_share_its_memory_and_others_do_not(check):
    assert (
        check(run_of(16, devices=4), left=110, fixed=10, part=100, shared=False) == []
    )
    with pytest.raises(ConfigError, match="wants 440 bytes of memory on 4 devices"):
        check(run_of(16, devices=4), left=110, fixed=10, part=100)


def test_a_batch_that_no_chunks_make_fit_gets_a_smaller_one(check):
    with pytest.raises(ConfigError, match=r"smaller batch.*batch_size=8"):
        check(run_of(64), left=150, fixed=1000, part=100)


def test_memory_that_runs_out_on_the_way_is_explained_and_other_errors_are_not():
    possible = memory.more_chunks(16, devices=1, chunks=1)
    with (
        pytest.raises(ConfigError, match=r"batch_size = 16.*accumulate=2"),
        memory.explained(Program(10**12), 16, possible),
    ):
        jax.block_until_ready(jnp.zeros(2**50))
    with pytest.raises(ZeroDivisionError), memory.explained(Program(1), 16, possible):
        _ = 1 // 0


@pytest.mark.slow
def test_an_absurd_batch_is_refused_before_it_is_tried_and_claims_no_workdir(
    tmp_path, capsys
):
    code = main(
        [
            "--config=configs/supervised.py:smoke",
            f"--workdir={tmp_path / 'run'}",
            "--config.mesh.devices=1",
            "--config.data.batch_size=1048576",
            "--config.data.size=32",
            "--config.data.prefetch=1",  # what is held ready fits
        ]
    )
    said = capsys.readouterr().err
    assert code == 2
    assert "config.data.batch_size = 1,048,576 wants " in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run" / "config.json").exists()
