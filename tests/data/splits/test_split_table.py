"""What the folds command shows and writes."""

import csv
import gzip
import re

import cv2
import numpy as np
import pytest

from bmjax.data.__main__ import main
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.folder import read_folder
from bmjax.data.splits import split_table as folds_table
from bmjax.data.splits.make_split import make_split, split_digest
from bmjax.data.splits.split_table import show_folds


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("cells")
    for cell, images in (("AAA", 12), ("BBB", 7), ("CCC", 3)):
        (root / cell).mkdir()
        for number in range(images):
            path = root / cell / f"{cell}_{number:05d}.png"
            assert cv2.imwrite(str(path), np.zeros((2, 2, 3), np.uint8))
    return root


def numbers(text, cell):
    """The row of a class: its images, and its test images in each fold."""
    row = re.search(rf"^{cell} +([\d, ]+)$", text, re.MULTILINE).group(1)
    return [int(number.replace(",", "")) for number in row.split()]


def digests(text):
    return re.findall(r"digest ([0-9a-f]{64})", text)


def show(root, name, fold=None, seed=42, exclude=(), out=None):
    return show_folds(
        str(root), name=name, fold=fold, seed=seed, exclude=exclude, out=out
    )


def test_the_table_counts_every_class_in_every_fold(tree):
    text = show(tree, "kfold")
    catalog = read_folder(tree)
    assert numbers(text, "AAA") == [12, 3, 3, 2, 2, 2]
    assert numbers(text, "BBB") == [7, 2, 2, 1, 1, 1]
    assert numbers(text, "all")[0] == len(catalog)
    assert digests(text) == [
        split_digest(catalog, make_split(catalog, name="kfold", fold=fold, seed=42))
        for fold in range(5)
    ]


def test_classes_smaller_than_the_folds_are_named_and_not_refused(tree):
    text = show(tree, "kfold")
    assert numbers(text, "CCC") == [3, 1, 1, 1, 0, 0]
    assert re.findall(r"fold (\d) has no test image of CCC", text) == ["3", "4"]


def test_one_fold_and_a_split_of_one_fold_show_one_column(tree):
    assert len(numbers(show(tree, "kfold", fold=3), "AAA")) == 2
    assert numbers(show(tree, "holdout"), "AAA") == [12, 3]


def test_a_fold_that_cannot_be_trained_on_is_said_and_the_others_shown(tmp_path):
    for cell, images in (("AAA", 9), ("BBB", 1)):
        (tmp_path / cell).mkdir()
        for number in range(images):
            cv2.imwrite(
                str(tmp_path / cell / f"{number}.png"), np.zeros((2, 2, 3), np.uint8)
            )
    text = show(tmp_path, "kfold")
    assert "fold 0 cannot be trained on: class BBB has 1 image" in text
    assert len(digests(text)) == 4


def test_leaving_a_class_out_leaves_the_others_split_as_they_were(tree):
    text = show(tree, "kfold", exclude=("AAA",))
    assert numbers(text, "BBB") == numbers(show(tree, "kfold"), "BBB")
    assert "AAA" not in text


@pytest.mark.parametrize(
    ("name", "fold"), [("holdout", None), ("kfold", 2), ("blocks", 1)]
)
def test_the_file_is_a_split_with_the_same_digest(name, fold, tree, tmp_path, capsys):
    file = tmp_path / "split.csv"
    written = show(tree, name, fold=fold, seed=7, out=file)
    with open(file, newline="") as rows:
        assert {row["part"] for row in csv.DictReader(rows)} == {"train", "test"}
    again = show(tree, str(file))
    assert digests(again) == digests(written)
    assert "cannot be trained on" not in again  # a list of parts has one fold
    before = file.read_bytes()
    command = ["folds", str(tree), f"--split={name}", "--out", str(file)]
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--split=halves"], 2, "use one of holdout"),
        (["--split=kfold", "--fold=5"], 2, "takes 0 to 4"),
        (["--split=none.csv"], 2, "is no file"),
        (["--split=kfold", "--exclude=XYZ"], 3, "names XYZ"),
        (["--split=dinobloom"], 3, "dinobloom is a list of images of the release"),
        (["--split=kfold", "--seed=-1"], 2, "--seed=-1"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, code, sentence, tree, capsys):
    assert main(["folds", str(tree), *arguments]) == code
    said = capsys.readouterr().err
    assert said.startswith("bmjax: ")
    assert said.count("\n") == 1
    assert sentence in said


@pytest.fixture(scope="module")
def release(shared):
    """The release by its real names, in their real folders; no files."""
    with gzip.open(shared / "matek_manifest.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = sorted(row["path"] for row in rows)
    paths.sort(key=lambda path: path.split("/")[0])
    classes = sorted({path.split("/")[0] for path in paths})
    labels = [classes.index(path.split("/")[0]) for path in paths]
    catalog = Catalog(
        shared, tuple(paths), np.array(labels, np.int32), tuple(classes), ""
    )
    listed = {row["path"] for row in rows if row["dinobloom_test"] == "1"}
    return catalog, listed


def test_the_release_by_its_real_names_has_the_published_numbers(release, monkeypatch):
    catalog, listed = release
    monkeypatch.setattr(folds_table, "read_catalog", lambda root, exclude: catalog)
    holdout = show("", "holdout")
    assert numbers(holdout, "all") == [171_374, 34_281]
    assert numbers(show("", "kfold"), "ABE") == [8, 2, 2, 2, 1, 1]
    assert numbers(show("", "blocks", fold=2), "ABE") == [8, 2]
    assert numbers(show("", "dinobloom"), "all") == [171_374, 34_266]
    test = make_split(catalog, name="dinobloom", fold=0, seed=0).test
    assert {catalog.paths[position] for position in test} == listed
