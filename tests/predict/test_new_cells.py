"""A run applied to new cells: parts, calibration, distances, ways to name images."""

import csv

import numpy as np
import pytest

import bmjax
from bmjax.data.images.folder import read_folder
from bmjax.data.open_images import open_any_images
from bmjax.data.synthetic import synthesize
from bmjax.errors import ConfigError
from bmjax.evals.calibration_file import calibrated, read_calibration
from bmjax.evals.cell_trust import read_trust
from bmjax.main import main as train
from bmjax.predict.__main__ import main
from bmjax.predict.cell_columns import read_columns
from bmjax.predict.predict_folder import predict_folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("cells") / "all", images=230, seed=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, cells):
    workdir = tmp_path_factory.mktemp("supervised") / "run"
    command = [
        "--config=configs/supervised.py:smoke",
        f"--workdir={workdir}",
        f"--config.data.root={cells}",
        "--config.data.validation_share=0.2",
        "--config.mesh.devices=1",
    ]
    assert train(command) == 0
    return workdir


def predict(source, run, out, *more):
    given = [str(source), f"--run={run}", f"--out={out}", "--devices=1", *more]
    return main([*given, "--batch-size=16"])


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def probabilities(rows):
    names = [name for name in rows[0] if name.startswith("p_")]
    return np.array([[float(row[name]) for name in names] for row in rows])


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_bytes(run, cells, tmp_path):
    encoder = bmjax.load(run, batch_size=16, devices=1)
    images = open_any_images(cells)
    columns = read_columns(run, encoder.classes, "train")

    def name_all(out, progress, part=64, columns=columns):
        return predict_folder(
            cells, images, encoder, out, part=part, complain=print, columns=columns,
            progress=progress,
        )  # fmt: skip

    whole = name_all(tmp_path / "whole.csv", lambda done, total: None)

    def kill(done, total):
        if done > 150:
            raise KeyboardInterrupt

    out = tmp_path / "killed.csv"
    with pytest.raises(KeyboardInterrupt):
        name_all(out, kill)
    assert not out.exists()
    with pytest.raises(ConfigError, match="parts of another command"):
        name_all(out, kill, part=32)
    with pytest.raises(ConfigError, match="parts of another command"):
        name_all(out, kill, columns=read_columns(run, encoder.classes, "even"))
    other = read_columns(run, encoder.classes, "train", error=0.01)
    with pytest.raises(ConfigError, match="parts of another command"):
        name_all(out, kill, columns=other)
    seen = []
    again = name_all(out, lambda done, total: seen.append((done, total)))
    assert again == whole
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert [row["path"] for row in rows_of(out)] == list(read_folder(cells).paths)
    # Two parts were whole, and nobody reads their images again.
    assert seen[:2] == [(64, 230), (128, 230)]
    assert seen[-1] == (230, 230)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "killed.csv", "whole.csv",
    ]  # fmt: skip


@pytest.mark.slow
def test_probabilities_are_calibrated_for_the_prior(run, cells, tmp_path, capsys):
    folder = cells / "NGS"
    table = tmp_path / "prior.csv"
    table.write_text("class,share\nNGS,3\nART,1\n")
    found = {}
    for prior in ("", "none", "train", "even", str(table)):
        out = tmp_path / f"{len(found)}.csv"
        assert predict(folder, run, out, *([f"--prior={prior}"] if prior else [])) == 0
        found[prior] = probabilities(rows_of(out))
    kept = read_calibration(run)
    raw = found["none"]
    np.testing.assert_allclose(found["train"], calibrated(raw, kept), atol=1e-5)
    np.testing.assert_array_equal(found[""], found["train"])
    even = np.full(len(kept.classes), 1 / len(kept.classes))
    np.testing.assert_allclose(found["even"], calibrated(raw, kept, even), atol=1e-5)
    left = [kept.classes.index(name) for name in ("NGS", "ART")]
    np.testing.assert_allclose(found[str(table)][:, left].sum(axis=1), 1, atol=1e-5)
    assert "are less like the training cells than 95 %" in capsys.readouterr().out


@pytest.mark.slow
def test_distances_are_percentiles_and_other_columns_stay(run, cells, tmp_path):
    assert predict(cells, run, tmp_path / "out.csv", "--prior=none") == 0
    rows = {row["path"]: row for row in rows_of(tmp_path / "out.csv")}
    assert list(rows_of(tmp_path / "out.csv")[0])[-1] == "distance"
    expected = rows_of(run / "predictions.csv")
    found = [rows[row["path"]] for row in expected]
    np.testing.assert_allclose(probabilities(found), probabilities(expected), atol=1e-5)
    values = np.array([float(row["distance"]) for row in rows.values()])
    assert values.min() >= 0
    assert values.max() <= 100


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["none", "train"])
def test_doubt_and_sets_are_of_the_probabilities_that_are_written(
    run, cells, tmp_path, capsys, prior
):
    options = [f"--prior={prior}", "--error=0.6", "--set-level=0.5"]
    assert predict(cells, run, tmp_path / "out.csv", *options) == 0
    rows, kept = rows_of(tmp_path / "out.csv"), read_calibration(run)
    known = kept.probabilities
    known = known if prior == "none" else calibrated(known, kept)
    trust = read_trust(known, kept.labels, 0.6, 0.5)
    found = probabilities(rows)
    margin = np.abs(1 - found - trust.sets).min() > 1e-5  # six digits decide
    doubtful, sets = trust.apply(found.astype(np.float32))
    assert [row["doubtful"] for row in rows] == [str(int(d)) for d in doubtful]
    if margin:
        names = [{kept.classes[i] for i in one.nonzero()[0]} for one in sets]
        assert [{*row["set"].split(" | ")} - {""} for row in rows] == names
    assert "names are doubtful" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class,share\nNOBODY,1\n", "line 2: 'NOBODY' is no class of the run"),
        ("class,share\nNGS,-1\n", "line 2: share is '-1'; give a number from 0 on"),
        ("class,share\nNGS,0\n", "the shares sum to 0"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(
    run, cells, tmp_path, capsys, text, sentence
):
    table = tmp_path / "prior.csv"
    table.write_text(text)
    assert predict(cells, run, tmp_path / "out.csv", f"--prior={table}") == 3
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.slow
def test_one_image_and_a_table_of_paths_are_read(run, cells, tmp_path):
    first, second = read_folder(cells).paths[:2]
    assert predict(cells / first, run, tmp_path / "one.csv") == 0
    (row,) = rows_of(tmp_path / "one.csv")
    assert (row["path"], row["label"]) == (first.split("/")[-1], first.split("/")[0])
    table = cells / "cells.csv"
    table.write_text(f"number,path\n1,{second}\n2,{first}\n")
    try:
        assert predict(table, run, tmp_path / "two.csv") == 0
    finally:
        table.unlink()
    found = rows_of(tmp_path / "two.csv")
    assert [row["path"] for row in found] == [second, first]
    np.testing.assert_allclose(probabilities(found)[1], probabilities([row])[0], 1e-4)
