"""What killed saves leave, what damage does, and what a run makes of either."""

import json
import re

import jax.numpy as jnp
import pytest

import bmjax
from bmjax import faults
from bmjax.errors import CheckpointError
from bmjax.training import checkpoint
from bmjax.training.manifest import make_manifest, read_manifest


def state(value=0.0):
    return {"params": {"kernel": jnp.full((3, 4), value)}, "opt": (jnp.arange(5.0),)}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "checkpoints"
    for step in (2, 3):
        checkpoint.save(folder, step, state(float(step)), meta={"step": step})
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def ready(folder):
    said = []
    return checkpoint.recover(folder, said.append), said


def restored_is(folder, step, value):
    found = checkpoint.restore(folder, step, state())
    return checkpoint.digest(found) == checkpoint.digest(state(value))


@pytest.fixture
def killed_at(monkeypatch):
    """Has a save end at a named point, as a kill does: nothing after it happens."""

    def at(point, folder, step, value):
        monkeypatch.setattr(faults, "_done", set())
        monkeypatch.setenv(faults.VARIABLE, f"{point}:fail")
        with pytest.raises(RuntimeError):
            checkpoint.save(folder, step, state(value), meta={"step": step})
        monkeypatch.delenv(faults.VARIABLE)

    return at


@pytest.mark.parametrize(
    ("point", "newest", "left"),
    [
        ("checkpoint.begun", 3, []),
        ("checkpoint.staged", 3, ["4.staged"]),
        ("checkpoint.renamed", 4, ["4", "4.manifest"]),
        ("checkpoint.saved", 4, ["4", "4.json"]),
        ("checkpoint.removing", 4, ["4", "4.json"]),
    ],
)
def test_a_save_killed_at_any_point_leaves_nothing_and_loses_nothing(
    folder, killed_at, point, newest, left
):
    killed_at(point, folder, 4, 4.0)
    assert set(left) <= set(names(folder))
    found, said = ready(folder)
    assert found == (newest, {"step": newest})
    assert restored_is(folder, newest, float(newest))
    assert said == []
    steps = {int(name.split(".")[0]) for name in names(folder)}
    assert set(names(folder)) == {x for n in steps for x in (str(n), f"{n}.json")}
    checkpoint.save(folder, 5, state(5.0), meta={})
    assert names(folder) == sorted(
        name for n in (newest, 5) for name in (str(n), f"{n}.json")
    )


def test_leftovers_of_every_version_go_and_files_of_others_stay(folder):
    for name in ("4.orbax-checkpoint-tmp", "5.staged.orbax-checkpoint-tmp-1", "6"):
        (folder / name).mkdir()
    (folder / "7.json.part").write_text("{")
    others = ["README", "9x.json", "8.json~", "old", "damaged.txt"]
    for name in others:
        (folder / name).write_text("mine")
    (folder / "20.json").mkdir()
    assert ready(folder)[0][0] == 3
    kept = ["2", "2.json", "20.json", "3", "3.json", *others]
    assert names(folder) == sorted(kept)


def test_what_is_damaged_is_set_aside_and_never_deleted(folder):
    for step in (4, 5):
        checkpoint.save(folder, step, state(float(step)), meta={})
    (folder / "5.json").write_text("{}")
    content = {p.name: p.read_bytes() for p in (folder / "5").rglob("*") if p.is_file()}
    found, said = ready(folder)
    assert found[0] == 4
    assert len(said) == 1
    assert "checkpoint 5 is damaged or not complete: it is set aside in" in said[0]
    aside = folder / "damaged" / "5-1"
    assert names(aside) == ["5", "5.json"]
    moved = {p.name: p.read_bytes() for p in (aside / "5").rglob("*") if p.is_file()}
    assert moved == content
    # Once more at the same step: each has a place of its own.
    checkpoint.save(folder, 5, state(5.0), meta={})
    (folder / "5.json").unlink()
    assert ready(folder)[0][0] == 4
    assert names(folder / "damaged") == ["5-1", "5-2"]


def test_a_save_does_not_write_over_what_is_damaged(folder):
    (folder / "3.json").write_text("{}")
    checkpoint.save(folder, 3, state(3.0), meta={})
    assert names(folder / "damaged") == ["3-1"]
    assert restored_is(folder, 3, 3.0)


def test_the_step_just_restored_is_saved_again_without_being_removed(
    folder, monkeypatch
):
    files = {p: p.stat().st_mtime_ns for p in (folder / "3").rglob("*")}
    checkpoint.save(folder, 3, state(3.0), meta={"step": 3, "more": 1})
    assert {p: p.stat().st_mtime_ns for p in (folder / "3").rglob("*")} == files
    assert checkpoint.newest(folder) == (3, {"step": 3, "more": 1})
    # On a full disk the manifest cannot be written: the one that is there stays.
    monkeypatch.setattr(faults, "_done", set())
    monkeypatch.setenv(faults.VARIABLE, "checkpoint.renamed@3:full")
    with pytest.raises(CheckpointError, match="No space left on device"):
        checkpoint.save(folder, 3, state(3.0), meta={"step": 3, "more": 2})
    assert ready(folder)[0] == (3, {"step": 3, "more": 1})
    assert restored_is(folder, 3, 3.0)


@pytest.mark.parametrize("point", ["begun", "staged", "renamed"])
def test_a_disk_that_fills_up_during_a_save_is_one_sentence(folder, monkeypatch, point):
    monkeypatch.setattr(faults, "_done", set())
    monkeypatch.setenv(faults.VARIABLE, f"checkpoint.{point}@4:full")
    with pytest.raises(CheckpointError, match=r"No space left .* make room and start"):
        checkpoint.save(folder, 4, state(4.0), meta={})
    assert ready(folder)[0][0] == 3
    checkpoint.save(folder, 4, state(4.0), meta={})
    assert restored_is(folder, 4, 4.0)


def test_removed_manifests_are_never_a_silent_start_from_zero(folder):
    for step in (2, 3):
        (folder / f"{step}.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"manifest\(s\) of step\(s\) 2, 3 .*gone"
    ):
        ready(folder)
    assert names(folder) == ["2", "3"]


def test_where_nothing_is_whole_all_is_left_as_it_is(folder):
    for step in (2, 3):
        (folder / f"{step}.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is whole \(tried steps 3, 2\)"):
        ready(folder)
    assert names(folder) == ["2", "2.json", "3", "3.json"]
    assert ready(folder / "nowhere") == (None, [])


def test_no_flipped_bit_of_a_manifest_is_believed(folder):
    path = folder / "3.json"
    before = path.read_bytes()
    meaning = read_manifest(folder, 3)
    for place in range(len(before)):
        content = bytearray(before)
        content[place] ^= 1 << place % 7
        path.write_bytes(content)
        # White space may change: what is read is then the same.
        assert read_manifest(folder, 3) in (None, meaning), bytes(content)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", "[" * 5000, '{"format": 1}', "\udcff"]
)
def test_garbage_for_a_manifest_is_a_damaged_one(folder, content):
    (folder / "3.json").write_bytes(content.encode(errors="surrogateescape"))
    assert ready(folder)[0][0] == 2


def test_a_manifest_is_of_its_own_step_alone(folder):
    (folder / "3").rename(folder / "9")
    (folder / "3.json").rename(folder / "9.json")
    assert ready(folder)[0][0] == 2
    assert names(folder / "damaged") == ["9-1"]


def test_a_manifest_of_before_it_protected_itself_is_read(folder):
    found = json.loads((folder / "3.json").read_text())
    old = {key: found[key] for key in ("step", "meta", "files")}
    (folder / "3.json").write_text(json.dumps(old))
    assert ready(folder)[0] == (3, {"step": 3})
    assert restored_is(folder, 3, 3.0)


def test_a_later_format_is_refused_by_the_version_that_wrote_it(folder, monkeypatch):
    content = json.loads((folder / "3.json").read_text())
    later = {**content, "format": 99, "written_by": "9.9"}
    (folder / "3.json").write_text(json.dumps(later))
    with pytest.raises(
        CheckpointError,
        match=rf"written by bmjax 9\.9 in format 99, .*is bmjax "
        rf"{re.escape(bmjax.__version__)}",
    ):
        ready(folder)
    assert names(folder) == ["2", "2.json", "3", "3.json"]
    # A number that this version never wrote is damage.
    (folder / "3.json").write_text(json.dumps({**content, "format": 3}))
    assert ready(folder)[0][0] == 2


def test_arrays_that_are_not_those_saved_are_refused(folder):
    """As where a library reads a part of a state, or another, and says nothing."""
    found = json.loads((folder / "3.json").read_text())
    content = {key: found[key] for key in ("meta", "empty", "files")}
    forged = make_manifest(3, **content, state_sha256="0" * 64)
    (folder / "3.json").write_text(json.dumps(forged))
    with pytest.raises(CheckpointError, match=r"are not those that were saved"):
        checkpoint.restore(folder, 3, state())
    with pytest.raises(CheckpointError, match=r"are not those that were saved"):
        checkpoint.read(folder, 3, jnp.zeros(1).sharding)


def test_a_file_that_may_not_be_read_is_no_damage(folder, monkeypatch):
    def fail(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bmjax.training.manifest.file_sha256", fail)
    with pytest.raises(CheckpointError, match=r"cannot be read: Permission denied"):
        ready(folder)
    assert names(folder) == ["2", "2.json", "3", "3.json"]
