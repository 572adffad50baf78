"""One command finds planted labels from the runs of k folds, or refuses them."""

import csv
import json

import cv2
import numpy as np
import pytest

from bmjax.data.images.folder import read_folder
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.validation_part import split_run
from bmjax.evals.predictions import write_predictions
from bmjax.noise import main
from tests.helpers.browser import text_of
from tests.helpers.report_pages import Page
from tests.helpers.small_trees import prepare_in_shards

HOSTILE = '<b onclick="x">&'
IMAGES = {"EBO": 25, HOSTILE: 20, "NGS": 30}
FOLDS = range(5)


@pytest.fixture
def cells(tmp_path):
    """Noise, every image another; two of NGS lie among the EBO."""
    random = np.random.Generator(np.random.PCG64(0))
    for name, count in IMAGES.items():
        (tmp_path / "cells" / name).mkdir(parents=True)
        for image in range(count):
            pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
            path = tmp_path / "cells" / name / f"{image:02d}.png"
            assert cv2.imwrite(str(path), pixels)
    return tmp_path / "cells"


PLANTED = ("EBO/03.png", "EBO/11.png")


def judged(catalog, positions, sure=0.9):
    """Probabilities of a judge that is right and takes the planted ones for NGS."""
    classes = len(catalog.classes)
    truth = catalog.labels[positions].copy()
    planted = [catalog.paths[position] in PLANTED for position in positions]
    truth[planted] = catalog.classes.index("NGS")
    return np.where(np.eye(classes)[truth] > 0, sure, (1 - sure) / (classes - 1))


def fold_run(folder, cells, fold, *, validation_share=0.0, labels="", **results):
    """The files of a finished run that the command reads."""
    catalog = read_catalog(cells, labels=labels, say=lambda note: None)
    parts = split_run(catalog, name="kfold", fold=fold, seed=42, share=validation_share)
    folder.mkdir()
    data = {"root": str(cells), "split": "kfold", "fold": fold, "split_seed": 42}
    data |= {"size": 8, "mean": [0.5] * 3, "std": [0.2] * 3, "labels": str(labels)}
    data |= {"validation_share": validation_share, "exclude": []}
    config = {"seed": 0, "data": data, "model": {"name": "resnet_tiny"}}
    config |= {"method": {"name": "supervised"}}
    (folder / "config.json").write_text(json.dumps(config))
    stored = {"data_fingerprint": catalog.fingerprint, "split_digest": parts.digest}
    (folder / "results.json").write_text(json.dumps(stored | results))
    (folder / "metrics.jsonl").write_text("")
    if labels:
        (folder / "labels.csv").write_text(labels.read_text())
    rewrite(folder, catalog, parts.split.test)
    return folder


def rewrite(folder, catalog, positions):
    write_predictions(
        folder / "predictions.csv",
        [catalog.paths[position] for position in positions],
        [catalog.classes[catalog.labels[position]] for position in positions],
        judged(catalog, positions),
        catalog.classes,
    )


@pytest.fixture
def runs(tmp_path, cells):
    return [fold_run(tmp_path / f"run{fold}", cells, fold) for fold in FOLDS]


def noise(runs, out, *more):
    return main([*map(str, runs), f"--out={out}", *more])


def suspects(out):
    with (out / "suspects.csv").open() as file:
        return [tuple(row.values()) for row in csv.DictReader(file)]


FOUND = [
    ("EBO/03.png", "EBO", "NGS", "0.9", "1"),
    ("EBO/11.png", "EBO", "NGS", "0.9", "2"),
]


def test_planted_labels_are_counted_listed_and_shown(runs, tmp_path, capsys):
    assert noise(reversed(runs), tmp_path / "out") == 0
    assert "2 of 75 labels are likely wrong (2.7%)" in capsys.readouterr().out
    assert suspects(tmp_path / "out") == FOUND
    stored = json.loads((tmp_path / "out" / "noise.json").read_text())
    wrong = {entry["class"]: entry["wrong"] for entry in stored["classes"]}
    assert wrong == {HOSTILE: 0, "EBO": 2, "NGS": 0}
    assert stored["classes"][1]["truly"] == {"NGS": 2.0}
    assert sum(run["images"] for run in stored["runs"]) == 75
    page = (tmp_path / "out" / "index.html").read_text()
    tags = Page(page).tags
    assert "<b onclick" not in page
    assert page.count("data:image/jpeg") == 2
    assert not [tag for tag, _ in tags if tag in ("a", "link")]


def test_pages_of_a_longer_list_before_are_removed(runs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("index-2.html", "index-notes.html"):
        (out / name).write_text("")
    assert noise(runs, out, "--pictures=1") == 0
    assert sorted(file.name for file in out.iterdir()) == [
        "index-notes.html",  # not ours
        "index.html",
        "noise.json",
        "suspects.csv",
    ]
    page = (out / "index.html").read_text()
    assert page.count("data-cell=") == 1
    assert "1 more are in suspects.csv alone" in page
    assert suspects(out) == FOUND


@pytest.mark.slow
def test_a_prepared_set_elsewhere_gives_the_same(runs, cells, tmp_path):
    assert noise(runs, tmp_path / "out") == 0
    prepared = prepare_in_shards(cells, tmp_path / "set")
    cells.rename(tmp_path / "gone")
    assert noise(runs, tmp_path / "again") == 3
    assert noise(runs, tmp_path / "again", f"--data={prepared}") == 0
    for name in ("noise.json", "suspects.csv", "index.html"):
        first, second = (tmp_path / out / name for out in ("out", "again"))
        assert first.read_bytes() == second.read_bytes()


def test_validation_images_of_one_run_are_judged_by_another(tmp_path, cells):
    runs = [
        fold_run(tmp_path / f"v{fold}", cells, fold, validation_share=0.25)
        for fold in FOLDS
    ]
    assert noise(runs, tmp_path / "out") == 0
    assert suspects(tmp_path / "out") == FOUND


def test_corrected_labels_are_no_suspects_any_more(tmp_path, cells):
    """The list, settled and given to the next runs, is empty."""
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label,was\nEBO/03.png,NGS,EBO\nEBO/11.png,-,EBO\n")
    runs = [
        fold_run(tmp_path / f"c{fold}", cells, fold, labels=labels) for fold in FOLDS
    ]
    labels.unlink()  # each run has its own copy
    assert noise(runs, tmp_path / "out") == 0
    assert suspects(tmp_path / "out") == []
    stored = json.loads((tmp_path / "out" / "noise.json").read_text())
    assert stored["images"] == 74
    # What the page saves holds the corrections that the runs were given.
    page = (tmp_path / "out" / "index.html").read_text()
    review = json.loads(text_of(page, "review"))
    assert review["earlier"] == [
        ["EBO/03.png", "NGS", "EBO", "", ""],
        ["EBO/11.png", "-", "EBO", "", ""],
    ]


def test_copies_in_other_folds_and_under_other_labels_are_named(tmp_path, cells):
    catalog = read_folder(cells)
    folds = {
        catalog.paths[position]: fold
        for fold in FOLDS
        for position in split_run(
            catalog, name="kfold", fold=fold, seed=42, share=0.0
        ).split.test
    }
    apart = next(p for p in folds if p[:3] == "NGS" and folds[p] != folds["NGS/00.png"])
    for path in (apart, "EBO/00.png"):
        (cells / path).write_bytes((cells / "NGS" / "00.png").read_bytes())
    runs = [fold_run(tmp_path / f"run{fold}", cells, fold) for fold in FOLDS]
    assert noise(runs, tmp_path / "out") == 0
    stored = json.loads((tmp_path / "out" / "noise.json").read_text())
    (copies,) = stored["copies"]
    assert {one["path"] for one in copies} == {"NGS/00.png", apart, "EBO/00.png"}
    assert any("copies in other folds" in note for note in stored["notes"])
    assert any("several labels" in note for note in stored["notes"])


def refused(capsys, code, said, runs, out, *more):
    assert noise(runs, out, *more) == code
    error = capsys.readouterr().err
    assert said in error, error
    assert "Traceback" not in error
    assert not (out / "noise.json").exists()


def test_runs_that_are_no_folds_are_refused(runs, cells, tmp_path, capsys):
    out = tmp_path / "out"
    refused(capsys, 2, "test part of none of the 4 run(s)", runs[1:], out)
    twin = fold_run(tmp_path / "twin", cells, 1)
    refused(capsys, 2, "is a test image of", [*runs, twin], out)
    refused(capsys, 2, "given twice", [*runs, runs[0]], out)
    whole = fold_run(tmp_path / "all", cells, 0, pretrained_on="all")
    refused(capsys, 2, "pretrain_on = 'all'", [whole, *runs[1:]], out)
    other = fold_run(tmp_path / "other", cells, 0, data_fingerprint="0" * 64)
    refused(capsys, 2, "other images or corrections", [*runs[1:], other], out)
    split = fold_run(tmp_path / "split", cells, 0, split_digest="0" * 64)
    refused(capsys, 3, "is not the one that the run", [split, *runs[1:]], out)
    refused(capsys, 2, "is no folder", [tmp_path / "none"], out)
    refused(capsys, 2, "own folder", runs, runs[0])
    (runs[0] / "predictions.csv").unlink()
    refused(capsys, 3, "finish the run", runs, out)


def test_a_training_image_is_never_judged(runs, cells, tmp_path, capsys):
    """Whatever the run's own list of training images says."""
    catalog = read_folder(cells)
    train, test = split_run(catalog, name="kfold", fold=0, seed=42, share=0.0).split
    rewrite(runs[0], catalog, [*test, train[0]])
    refused(capsys, 2, "1 image(s) of the run's own training", runs, tmp_path / "out")
    rewrite(runs[0], catalog, test[1:])
    refused(capsys, 3, "lacks 1 of the run's", runs, tmp_path / "out")


def test_other_images_under_the_same_paths_are_refused(runs, cells, tmp_path, capsys):
    (cells / "NGS" / "01.png").write_bytes(b"other")
    refused(capsys, 3, "are not those of the run", runs, tmp_path / "out")
