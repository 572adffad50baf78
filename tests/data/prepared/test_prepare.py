"""Prepared sets: the folder's images to the byte, whole or not there at all."""

import json
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

from bmjax.data.__main__ import main
from bmjax.data.images.folder import read_folder
from bmjax.data.matek import CLASSES
from bmjax.data.open_images import read_catalog
from bmjax.data.prepared import prepare as module
from bmjax.data.prepared.prepare import prepare
from bmjax.data.prepared.read import INDEX
from bmjax.errors import DataError, Stopped
from tests.helpers.small_trees import NAMES, prepare_in_shards, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree") / "cells")


@pytest.fixture(scope="module")
def prepared(tree, tmp_path_factory):
    return prepare_in_shards(tree, tmp_path_factory.mktemp("out") / "set")


def state(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_plain_tensorflow_datasets_reads_the_set_without_tensorflow(tree, prepared):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared)
    source = builder.as_data_source("train")
    folder = read_folder(tree)
    assert len(source) == len(folder)
    names = builder.info.features["label"].names
    for position, record in enumerate(source):
        assert record["path"].decode() == folder.paths[position]
        assert names[record["label"]] == folder.paths[position].split("/")[0]
        pixels = cv2.imdecode(folder.encoded(position), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(record["image"], pixels)
    assert "tensorflow" not in sys.modules


def test_prepared_again_it_says_so_and_touches_nothing(tree, prepared, capsys):
    before = state(prepared)
    assert main(["prepare", str(tree), "--out", str(prepared)]) == 0
    assert "already complete" in capsys.readouterr().out
    assert state(prepared) == before


@pytest.mark.parametrize("kind", ["other images", "other files", "a file", "within"])
def test_what_is_there_already_is_not_touched(kind, tree, prepared, tmp_path, capsys):
    out, root = tmp_path / "out", tree
    if kind == "other images":
        out, root = prepared, write_tree(tmp_path / "new", NAMES[:4])
    elif kind == "other files":
        out.mkdir()
        (out / "thesis.tex").write_text("mine")
    elif kind == "a file":
        out.write_text("mine")
    else:
        out = root / "BLA" / "set"
    before = state(out.parent)
    assert main(["prepare", str(root), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bmjax: --out=")
    assert said.count("\n") == 1
    assert state(out.parent) == before


def test_a_set_is_not_prepared_again_as_a_folder(prepared, tmp_path, capsys):
    assert main(["prepare", str(prepared), "--out", str(tmp_path / "x")]) == 2
    assert "is a prepared set" in capsys.readouterr().err


def test_verify_says_what_a_prepared_set_is(prepared, capsys):
    assert main(["verify", str(prepared)]) == 2
    assert "is a prepared set" in capsys.readouterr().err


@pytest.fixture
def broken(tmp_path):
    """A tree with three files that are no images, one of them all of its class."""
    root = write_tree(tmp_path / "cells", [*NAMES, "ODD/ODD_00001.jpg"])
    whole = (root / NAMES[0]).read_bytes()
    (root / NAMES[0]).write_bytes(whole[: len(whole) // 2])
    (root / NAMES[5]).write_bytes(b"")
    (root / "ODD" / "ODD_00001.jpg").write_bytes(b"<html>")
    return root


def test_files_that_are_no_images_are_named_and_nothing_is_written(
    broken, tmp_path, capsys
):
    assert main(["prepare", str(broken), "--out", str(tmp_path / "set")]) == 3
    said = capsys.readouterr().err
    assert "3 of 7 files" in said
    for name in (NAMES[0], NAMES[5], "ODD/ODD_00001.jpg", "--on-bad-image=skip"):
        assert name in said
    assert os.listdir(tmp_path) == ["cells"]


def test_skipped_files_are_listed_and_the_rest_is_a_set(broken, tmp_path, capsys):
    out = tmp_path / "set"
    command = ["prepare", str(broken), "--out", str(out), "--on-bad-image=skip"]
    assert main(command) == 0
    assert "3 left out" in capsys.readouterr().out
    refused = {NAMES[0], NAMES[5], "ODD/ODD_00001.jpg"}
    assert set(json.loads((out / INDEX).read_text())["refused"]) == refused
    card = (out / "README.md").read_text()
    assert "3 files that are no readable images were left out" in card
    stored = read_catalog(out)
    assert set(stored.paths) == {*NAMES} - refused
    assert stored.classes == ("ABE", "BLA")
    for name in refused:
        (broken / name).unlink()
    left = read_folder(broken)
    assert stored.fingerprint == left.fingerprint
    np.testing.assert_array_equal(stored.labels, left.labels)


KILL = """
import os, signal, sys
from bmjax.data.prepared import prepare as module

def killed(*args):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, sys.argv[1], killed)
module.prepare(sys.argv[2], out=module.Path(sys.argv[3]))
"""


@pytest.mark.parametrize("where", ["_compared", "write_whole"])
def test_killed_midway_it_leaves_no_set_and_the_next_attempt_starts_clean(
    where, tree, tmp_path
):
    out = tmp_path / "sets" / "set"
    done = subprocess.run([sys.executable, "-c", KILL, where, str(tree), str(out)])
    assert done.returncode == -signal.SIGKILL
    assert [p.name for p in out.parent.iterdir()] == [".set.part"]
    with pytest.raises(DataError, match="does not exist"):
        read_catalog(out)
    with pytest.raises(DataError, match="no JPEG or PNG image"):
        read_catalog(out.parent)
    prepare(str(tree), out=out)
    assert [p.name for p in out.parent.iterdir()] == ["set"]
    assert read_catalog(out).fingerprint == read_folder(tree).fingerprint


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)]
)
def test_stopped_by_a_signal_it_leaves_nothing(
    number, code, tree, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_compared", lambda *args: os.kill(os.getpid(), number))
    with pytest.raises(Stopped, match="nothing was written") as caught:
        prepare(str(tree), out=tmp_path / "set")
    assert caught.value.exit_code == code
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys
from bmjax.data.__main__ import main

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sys.exit(main(["prepare", sys.argv[1], "--out", sys.argv[2]]))
"""


def test_a_disk_that_takes_no_more_is_a_sentence_and_nothing_is_left(tree, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tree), str(tmp_path / "set")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("bmjax: --out=")
    assert "cannot be written: write() failed: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_may_not_prepare_the_same_set(tree, tmp_path, capsys):
    with module._claim(tmp_path / "set"):
        assert main(["prepare", str(tree), "--out", str(tmp_path / "set")]) == 2
    assert "by another process" in capsys.readouterr().err


def test_files_that_change_meanwhile_are_noticed(tmp_path, monkeypatch):
    root = write_tree(tmp_path / "cells")
    scan = module.scan_images

    def scan_then_change(*args, **more):
        found = scan(*args, **more)
        (root / NAMES[0]).write_bytes((root / NAMES[1]).read_bytes() + bytes(99))
        return found

    monkeypatch.setattr(module, "scan_images", scan_then_change)
    with pytest.raises(DataError, match="changed while they were read"):
        prepare(str(root), out=tmp_path / "set")
    assert not (tmp_path / "set").exists()


HOSTILE = [
    "A|B*<b>/x.png",
    "new\nline/x.png",
    "quo\"te'/x\n.png",
    os.fsdecode(b"ISO-\xe4/x\xff.png"),
    "back\\slash/x..png",
]


def test_hostile_names_go_through_unharmed(tmp_path):
    import tensorflow_datasets as tfds

    root = write_tree(tmp_path / "cells", HOSTILE)
    out = tmp_path / "set"
    prepare(str(root), out=out)
    folder, stored = read_folder(root), read_catalog(out)
    assert stored.paths == folder.paths
    assert stored.classes == folder.classes
    assert stored.fingerprint == folder.fingerprint
    builder = tfds.builder_from_directory(out)
    assert len(set(builder.info.features["label"].names)) == len(HOSTILE)
    found = [os.fsdecode(record["path"]) for record in builder.as_data_source("train")]
    assert tuple(found) == folder.paths
    card = (out / "README.md").read_text()
    assert "<b>" not in card
    assert card.count("\n| ") == 1 + 1 + len(HOSTILE)


def test_the_card_tells_counts_source_and_licence(prepared):
    card = (prepared / "README.md").read_text()
    assert "| ABE | - | 2 |" not in card
    assert "| ABE | Abnormal eosinophils | 2 | 8 |" in card
    assert "| WBC | - | 1 | - |" in card
    assert read_catalog(prepared).fingerprint in card
    # Classes of its own: whose images they are is not ours to say.
    assert "CC BY" not in card


def test_the_releases_own_counts_bring_its_licence():
    from bmjax.data.channel_stats import Moments
    from bmjax.data.prepared.card import Contents, texts, write_card

    release = {cell.abbreviation: cell.images for cell in CLASSES}
    moments = Moments((0.5, 0.5, 0.5), (0.1, 0.1, 0.1))
    card = write_card(Contents(release, "f" * 64, moments, ()))
    assert "171,374 images of 21 classes" in card
    assert "Classes and counts are those of the TCIA collection" in card
    assert "CC BY 4.0" in card
    assert texts(release)["license"].startswith("CC BY 4.0")
    some = {**release, "NGS": 3}
    assert "not its counts" in write_card(Contents(some, "", moments, ()))
    assert not texts(some)["license"]


def test_what_was_passed_over_is_on_the_card_and_said_again(tree, tmp_path, capsys):
    (tree / "ABE" / "left.tiff").write_bytes(b"II*\0")
    out = tmp_path / "with_notes"
    prepare(str(tree), out=out)
    assert "left" in capsys.readouterr().err
    card = (out / "README.md").read_text()
    assert "1 image(s) of a format that is not read" in card
    read_catalog(out)
    assert "left" in capsys.readouterr().err
