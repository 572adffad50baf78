"""Saved states: whole, the newest, or passed over; never silently something else."""

import errno
import json
import logging
import os
import shutil

import jax
import jax.numpy as jnp
import pytest

from bmjax.errors import CheckpointError
from bmjax.files import write_json
from bmjax.training import checkpoint


def state(value=0.0):
    return {
        "params": {"kernel": jnp.full((3, 4), value), "count": jnp.int32(7)},
        "opt": (jnp.arange(5.0) + value,),
    }


@pytest.fixture
def folder(tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, state(float(step)), meta={"step": step})
    return tmp_path


def data_file(folder, step):
    """The largest file of a checkpoint: it holds array data."""
    files = [f for f in (folder / str(step)).rglob("*") if f.is_file()]
    return max(files, key=lambda f: f.stat().st_size)


def test_what_was_saved_comes_back_bit_by_bit(folder):
    step, meta = checkpoint.newest(folder)
    restored = checkpoint.restore(folder, step, state())
    assert (step, meta) == (3, {"step": 3})
    assert checkpoint.digest(restored) == checkpoint.digest(state(3.0))
    assert jax.tree.structure(restored) == jax.tree.structure(state())


def test_only_the_newest_two_are_kept(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["2", "2.json", "3", "3.json"]


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: flip(data_file(folder, 3)),
        lambda folder: data_file(folder, 3).write_bytes(b"short"),
        lambda folder: data_file(folder, 3).unlink(),
        lambda folder: (folder / "3.json").unlink(),
        lambda folder: (folder / "3.json").write_text("{garbage"),
        lambda folder: (folder / "3.json").write_text("{}"),
    ],
    ids=["flipped", "truncated", "missing", "no manifest", "garbage", "empty"],
)
def test_a_damaged_checkpoint_is_passed_over_and_left_alone(folder, harm, caplog):
    harm(folder)
    files = sorted((folder / "3").rglob("*"))
    with caplog.at_level(logging.WARNING):
        step, _ = checkpoint.newest(folder)
    assert step == 2
    assert sorted((folder / "3").rglob("*")) == files
    restored = checkpoint.restore(folder, step, state())
    assert checkpoint.digest(restored) == checkpoint.digest(state(2.0))


def test_leftovers_of_a_killed_save_do_not_count(folder):
    (folder / "4").mkdir()
    (folder / "5.orbax-checkpoint-tmp").mkdir()
    (folder / "notes.txt").write_text("mine")
    assert checkpoint.newest(folder)[0] == 3
    checkpoint.save(folder, 4, state(4.0), meta={})
    assert checkpoint.newest(folder)[0] == 4


def test_nothing_saved_is_a_start_and_nothing_whole_is_an_error(tmp_path, folder):
    assert checkpoint.newest(tmp_path / "nowhere") is None
    for step in (2, 3):
        flip(data_file(folder, step))
    with pytest.raises(CheckpointError, match=r"no checkpoint .* is whole.*3, 2"):
        checkpoint.newest(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel": jnp.zeros((3, 5)), "count": jnp.int32(0)},
        {"kernel": jnp.zeros((3, 4), jnp.bfloat16), "count": jnp.int32(0)},
        {"kernel": jnp.zeros((3, 4))},
        {"kernel": jnp.zeros((3, 4)), "count": jnp.int32(0), "more": jnp.zeros(1)},
    ],
    ids=["shape", "type", "fewer", "more"],
)
def test_another_programs_arrays_are_refused_by_name(folder, changed):
    with pytest.raises(CheckpointError, match=r"1 array\(s\), first params\.\w+ is"):
        checkpoint.restore(folder, 3, {**state(), "params": changed})


def test_the_digest_sees_values_shapes_types_and_names():
    base = checkpoint.digest({"a": jnp.zeros((2, 3))})
    others = [
        {"a": jnp.zeros((3, 2))},
        {"a": jnp.zeros((2, 3), jnp.int32)},
        {"b": jnp.zeros((2, 3))},
        {"a": jnp.zeros((2, 3)).at[0, 0].set(1e-30)},
    ]
    assert len({base, *map(checkpoint.digest, others)}) == 5


def test_json_is_written_whole(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


EDGES = {
    "no elements": jnp.zeros((0, 4)),
    "no elements in the middle": jnp.zeros((3, 0, 2), jnp.int32),
    "scalar": jnp.float32(2.5),
    "bfloat16": jnp.arange(3, dtype=jnp.bfloat16),
    "one bool": jnp.array([True]),
    "whole numbers": jnp.array([2**31 - 1, -(2**31)], jnp.int32),
    "not finite": jnp.array([jnp.inf, -0.0]),
}


def same(one, other):
    return (
        checkpoint.digest(one) == checkpoint.digest(other)
        and checkpoint.kinds(one) == checkpoint.kinds(other)
        and jax.tree.structure(one) == jax.tree.structure(other)
    )


@pytest.mark.parametrize(
    "names", [*[[name] for name in EDGES], list(EDGES), []], ids=str
)
def test_a_state_at_the_edge_of_its_range_is_saved_and_restored_as_it_was(
    tmp_path, names
):
    edge = {"full": jnp.ones(2), "edge": ([EDGES[name] for name in names], {})}
    checkpoint.save(tmp_path, 1, edge, meta={})
    assert checkpoint.newest(tmp_path) == (1, {})
    like = jax.tree.map(jnp.zeros_like, edge)
    assert same(checkpoint.restore(tmp_path, 1, like), edge)
    read = checkpoint.read(tmp_path, 1, jnp.zeros(1).sharding)
    assert same(read, {"full": edge["full"], "edge": list(edge["edge"])})


@pytest.mark.parametrize(
    ("saved", "wanted"), [((0, 4), (2, 4)), ((2, 4), (0, 4)), ((0, 4), (0, 5))]
)
def test_an_array_without_elements_fits_only_itself(tmp_path, saved, wanted):
    checkpoint.save(tmp_path, 1, {"a": jnp.ones(1), "b": jnp.zeros(saved)}, meta={})
    like = {"a": jnp.ones(1), "b": jnp.zeros(wanted)}
    with pytest.raises(CheckpointError, match=r"1 array\(s\), first b is float32\["):
        checkpoint.restore(tmp_path, 1, like)


class Disk:
    """What `shutil.disk_usage` tells of a disk with so many bytes free."""

    def __init__(self, free):
        self.free = free


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS]
)
@pytest.mark.parametrize("by", [OSError, ValueError], ids=["Python", "TensorStore"])
def test_a_full_disk_is_one_sentence_and_leaves_the_older_checkpoints(
    folder, monkeypatch, number, by
):
    from orbax.checkpoint import v1 as ocp

    def fail(place, _):
        place.mkdir()
        message = os.strerror(number)
        raise OSError(number, message) if by is OSError else by(f"RESOURCE: {message}")

    monkeypatch.setattr(ocp, "save", fail)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(3_000_000))
    words = rf"{os.strerror(number)} \(it takes 0.1 MB, 3.0 MB are free\)"
    with pytest.raises(CheckpointError, match=words):
        checkpoint.save(folder, 4, state(4.0), meta={})
    assert sorted(p.name for p in folder.iterdir()) == ["2", "2.json", "3", "3.json"]
    assert checkpoint.newest(folder)[0] == 3


def test_any_other_error_of_a_save_is_not_hidden(folder, monkeypatch):
    from orbax.checkpoint import v1 as ocp

    def fail(*_):
        raise ValueError("a defect")

    monkeypatch.setattr(ocp, "save", fail)
    with pytest.raises(ValueError, match="a defect"):
        checkpoint.save(folder, 4, state(4.0), meta={})


def test_the_size_of_a_checkpoint_is_held_against_the_free_space(tmp_path, monkeypatch):
    big = {"a": jax.ShapeDtypeStruct((1_000_000,), jnp.float32)}  # 4 MB
    said = []
    for free in (13_000_000, 5_000_000):  # with what is spared: 4.1 MB each
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Disk(free))
        checkpoint.check_space(tmp_path / "not" / "there", big, said.append)
    assert len(said) == 1
    assert "5.0 MB free" in said[0]
    assert "12.4 MB more" in said[0]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(4_000_000))
    with pytest.raises(CheckpointError, match=r"takes 4.1 MB, but .* has 4.0 MB free"):
        checkpoint.check_space(tmp_path, big, said.append)


def kept_steps(folder):
    return sorted(int(p.stem) for p in folder.glob("*.json"))


def test_what_is_to_be_kept_stays_however_old_it_is(tmp_path):
    for step in range(1, 8):
        keep = lambda step: step in (2, 3)
        checkpoint.save(tmp_path, step, state(float(step)), meta={}, keep=keep)
    assert kept_steps(tmp_path) == [2, 3, 6, 7]
    restored = checkpoint.restore(tmp_path, 2, state())
    assert checkpoint.digest(restored) == checkpoint.digest(state(2.0))
    # What is no longer to be kept goes.
    checkpoint.save(tmp_path, 8, state(8.0), meta={}, keep=lambda step: step == 3)
    assert kept_steps(tmp_path) == [3, 7, 8]


def test_damaged_later_checkpoints_do_not_push_out_the_one_just_saved(folder):
    checkpoint.save(folder, 4, state(4.0), meta={})
    for step in (3, 4):
        flip(data_file(folder, step))
    checkpoint.save(folder, 1, state(1.0), meta={})
    assert checkpoint.newest(folder)[0] == 1
    assert kept_steps(folder) == [1, 3, 4]


def test_the_chosen_step_is_looked_at_before_it_is_used(folder):
    checkpoint.check_whole(folder, 2, "knn_20/macro_f1")
    flip(data_file(folder, 2))
    for step in (1, 2):
        with pytest.raises(CheckpointError, match=r"there are: 2, 3.*best=''"):
            checkpoint.check_whole(folder, step, "knn_20/macro_f1")
