"""Features of a folder: the encoder's, in every kind of file, whole or not at all."""

import csv
import json
import shutil

import numpy as np
import pytest

import bmjax
from bmjax.data.images.folder import read_folder
from bmjax.data.open_images import open_any_images
from bmjax.data.prepared.prepare import prepare
from bmjax.embed.__main__ import main, write_features
from tests.helpers.small_run import small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"), "supervised")


def embed(folder, run, out, *more):
    given = [str(folder), f"--run={run}", f"--out={out}", "--devices=1", *more]
    return main([*given, "--batch-size=16"])


def read(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays}


def test_every_kind_of_file_holds_the_encoders_features(trained, tmp_path, capsys):
    folder = trained.cells / "NGS"
    encoder = bmjax.load(trained.workdir, batch_size=16, devices=1)
    expected = encoder.features(folder)
    for suffix in ("npz", "csv"):
        assert embed(folder, trained.workdir, tmp_path / f"f.{suffix}") == 0
    assert "images; " in capsys.readouterr().out
    arrays = read(tmp_path / "f.npz")
    np.testing.assert_array_equal(arrays["features"], expected)
    assert set(arrays["label"]) == {"NGS"}
    about = json.loads(str(arrays["metadata"]))
    assert about["params_sha256"] == encoder.digest
    assert about["network"] == encoder.network
    assert (about["pooling"], about["interpolation"]) == ("average", "none")
    assert about["bmjax"] == bmjax.__version__
    with open(tmp_path / "f.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["path", "label", "f0"]
    assert [row[0] for row in rows] == list(arrays["path"])
    np.testing.assert_array_equal(
        np.array([row[2:] for row in rows], np.float32), expected
    )
    assert json.loads((tmp_path / "f.csv.json").read_text()) == about
    assert not list(tmp_path.glob("*.part"))


def test_parts_hold_the_same_as_one_file(trained, tmp_path):
    encoder = bmjax.load(trained.workdir, batch_size=16, devices=1)
    images = open_any_images(trained.cells)
    for name, part in (("whole", len(images.paths)), ("parts", 64)):
        out = tmp_path / f"{name}.npz"
        assert write_features(out, images, encoder, part=part) == 0
    assert (tmp_path / "whole.npz").read_bytes() == (
        tmp_path / "parts.npz"
    ).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_parquet_holds_the_encoders_features(trained, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = trained.cells / "NGS"
    assert embed(folder, trained.workdir, tmp_path / "f.npz") == 0
    assert embed(folder, trained.workdir, tmp_path / "f.parquet") == 0
    arrays, table = read(tmp_path / "f.npz"), parquet.read_table(tmp_path / "f.parquet")
    assert table["path"].to_pylist() == list(arrays["path"])
    np.testing.assert_array_equal(
        np.array(table["features"].to_pylist(), np.float32), arrays["features"]
    )
    assert json.loads(table.schema.metadata[b"bmjax"])["network"]


def test_a_prepared_set_gives_what_its_folder_gives(trained, tmp_path):
    prepared = tmp_path / "set"
    prepare(str(trained.cells), out=prepared)
    assert embed(trained.cells, trained.workdir, tmp_path / "folder.npz") == 0
    assert embed(prepared, trained.workdir, tmp_path / "set.npz") == 0
    folder, other = read(tmp_path / "folder.npz"), read(tmp_path / "set.npz")
    for name in ("path", "label", "features"):
        np.testing.assert_array_equal(other[name], folder[name])


def test_unreadable_images_are_named_counted_and_exit_3(trained, tmp_path, capsys):
    folder = shutil.copytree(trained.cells / "NGS", tmp_path / "cells" / "NGS")
    good = len(read_folder(folder.parent))
    (folder / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "f.npz"
    assert embed(folder.parent, trained.workdir, out) == 3
    told = capsys.readouterr().err
    assert "broken.jpg" in told
    assert "1 image(s) could not be read" in told
    assert len(read(out)["path"]) == good
    assert embed(folder.parent, trained.workdir, out, "--skip-bad", "--force") == 0


def test_not_one_readable_image_leaves_no_file(trained, tmp_path, capsys):
    folder = tmp_path / "cells"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"no image")
    for suffix in ("npz", "csv"):
        assert embed(folder, trained.workdir, tmp_path / f"f.{suffix}") == 3
        assert "not one of 1 image(s)" in capsys.readouterr().err
    assert not list(tmp_path.glob("f.*"))


@pytest.mark.parametrize(
    ("out", "option", "sentence"),
    [
        ("f.txt", "", "should end in one of .npz, .csv, .parquet"),
        ("nowhere/f.npz", "", "no folder that exists"),
        ("f.npz", "--devices=-1", "give 0 or more"),
        ("f.npz", "--network=resnet50", "leave the network out"),
        ("f.npz", "--pooling=cls", "use one of auto, average"),
        ("f.npz", "--interpolation=size", "needs learned positions"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(
    trained, tmp_path, capsys, out, option, sentence
):
    given = [option] if option else []
    assert embed(trained.cells, trained.workdir, tmp_path / out, *given) == 2
    assert sentence in capsys.readouterr().err
