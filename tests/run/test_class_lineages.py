"""Lineages of classes from a table, and runs whose classifier has them."""

import json

import numpy as np
import pytest

import bmjax
from bmjax.data.matek import CLASSES
from bmjax.errors import ConfigError
from bmjax.evals.lineage import LINEAGES
from bmjax.export.__main__ import main as export
from bmjax.main import main as train
from bmjax.predict.__main__ import main as predict
from bmjax.run.class_lineages import check_lineages, class_lineages, numbered
from tests.helpers.small_run import small_run
from tests.helpers.toy_run import toy_run


def table(tmp_path, *rows):
    file = tmp_path / "own.csv"
    file.write_text("\n".join(["class,lineage", *rows]))
    return str(file)


def test_the_release_has_its_own_table():
    names = [cell.abbreviation for cell in CLASSES]
    found = dict(zip(names, class_lineages(names, "matek"), strict=True))
    assert found == {n: key for key, members in LINEAGES.items() for n in members}
    assert class_lineages(["Blasts", "mon"], "matek") == ("granulocytic", "monocytic")


def test_a_users_own_table_may_hold_more_and_differ_in_case(tmp_path):
    own = table(tmp_path, "red,A", "GREEN,B", "blue,A", "other,C")
    found = class_lineages(["blue", "green", "red"], own)
    assert found == ("A", "B", "A")
    assert numbered(found) == (0, 1, 0)
    assert numbered(("x", "y", "x")) == numbered(("y", "x", "y"))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["red,A"], "own.csv' gives no lineage to 1 of the 2 classes, first 'green'"),
        (["red,A", "green,"], "first 'green'"),
        (["red,A", "green,B", "RED,C"], "line 4, gives 'RED' the lineage 'C', and a"),
    ],
)
def test_a_table_without_a_class_is_refused(rows, sentence, tmp_path):
    with pytest.raises(ConfigError) as caught:
        class_lineages(["green", "red"], table(tmp_path, *rows))
    assert sentence in str(caught.value)
    assert "config.model.lineages" in str(caught.value)


def test_what_cannot_be_is_refused_before_the_images_are_read():
    check_lineages("", "mlp")
    check_lineages("matek", "classifier")
    with pytest.raises(ConfigError, match=r"config\.model\.head = 'mlp'"):
        check_lineages("matek", "mlp")
    with pytest.raises(ConfigError, match="is no file; give a CSV of class,lineage"):
        check_lineages("nowhere.csv", "classifier")


def test_a_run_refuses_a_table_that_lacks_one_of_its_classes(tmp_path):
    own = table(tmp_path, "A,x", "B,y")
    with pytest.raises(ConfigError, match=r"of the 3 classes, first 'C'"):
        toy_run("supervised", **{"model.lineages": own})


@pytest.mark.slow
def test_predictions_exports_and_starts_of_a_run_with_lineages(tmp_path, capsys):
    made = small_run(
        tmp_path,
        "supervised",
        "--config.model.lineages=matek",
        "--config.method.logit_adjustment=1.0",
        "--config.data.sampling=natural",
    )
    results = json.loads((made.workdir / "results.json").read_text())
    assert results["lineages"]["ABE"] == "granulocytic"
    known = bmjax.read_predictions(made.workdir / "predictions.csv")
    paths = [made.cells / path for path in known.paths]
    np.testing.assert_allclose(known.probabilities.sum(axis=1), 1, atol=1e-4)
    file = tmp_path / "net.safetensors"
    assert export([str(made.workdir), f"--out={file}"]) == 0
    for source in (made.workdir, file):
        encoder = bmjax.load(source, batch_size=8, devices=1)
        assert encoder.classes == tuple(known.classes)
        np.testing.assert_allclose(
            encoder.predict(paths), known.probabilities, atol=1e-5
        )
    cells = tmp_path / "cells.csv"
    command = [str(made.cells / "NGS"), f"--run={made.workdir}", f"--out={cells}"]
    assert predict(command) == 0
    again = [
        "--config=finetune:smoke",
        f"--workdir={tmp_path / 'again'}",
        f"--config.data.root={made.cells}",
        f"--config.init_from={file}",
        "--config.model.name=resnet_tiny",
        "--config.data.split=kfold",
        "--config.mesh.devices=1",
    ]
    capsys.readouterr()
    assert train(again) == 5
    assert "a classifier of 5 lineages" in capsys.readouterr().err
    own = table(tmp_path, *(f"{cell.abbreviation},x" for cell in CLASSES[1:]))
    assert train([*again, f"--config.model.lineages={own}"]) == 2
    (error,) = [n for n in capsys.readouterr().err.splitlines() if "lineage" in n]
    assert "'ABE'" in error
    assert own in error
