"""A broken image is found before the first step; test files may be mended later."""

import json

import cv2
import numpy as np
import pytest

from bmjax.data.images.folder import read_folder
from bmjax.data.pipeline import Replaced, next_of_class
from bmjax.data.splits.make_split import make_split, split_digest
from bmjax.errors import DataError
from bmjax.main import main
from bmjax.run.build import RunData
from bmjax.run.check_images import check_images
from bmjax.run.same_data import check_same_data, kept_record, record_data


def write_noise(path, *, size=16, seed=0):
    random = np.random.Generator(np.random.PCG64(seed))
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = random.integers(0, 255, (size, size, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-200])


@pytest.fixture
def root(tmp_path):
    for name in ("AAA", "BBB", "CCC"):
        for number in range(10):
            write_noise(tmp_path / "cells" / name / f"{number:05d}.png", seed=number)
    return tmp_path / "cells"


def open_data(root):
    catalog = read_folder(root)
    split = make_split(catalog, name="holdout", fold=0, seed=42)
    return RunData(
        catalog,
        split,
        split_digest(catalog, split),
        None,
        next_of_class(split.train, catalog.labels),
    )


def file_of(data, part, number=0):
    return data.catalog.root / data.catalog.paths[getattr(data.split, part)[number]]


def check(data, *, limit=0, begun=False):
    said = []
    replaced = Replaced(limit=limit, say=said.append)
    check_images(data, replaced, threads=2, begun=begun, say=said.append)
    return said, replaced


def test_whole_images_are_counted(root):
    said, replaced = check(open_data(root))
    assert said[0].startswith("read 30 images once in ")
    assert not replaced.positions


def test_copies_of_training_images_in_the_test_part_are_said(root):
    for name in ("BBB", "CCC"):  # else each class has the same ten files
        for number, path in enumerate(sorted((root / name).iterdir())):
            write_noise(path, seed=100 * ord(name[0]) + number)
    data = open_data(root)
    assert len(check(data)[0]) == 1
    test, train = file_of(data, "test", 1), file_of(data, "train", 2)
    test.write_bytes(train.read_bytes())
    note = check(open_data(root))[0][1]
    assert note.startswith("note: 1 of the 6 test images are training images too")
    for path in (test, train):
        assert repr(path.relative_to(data.catalog.root).as_posix()) in note


def test_all_broken_test_images_are_named_at_once(root):
    data = open_data(root)
    for number in (0, 3):
        cut_short(file_of(data, "test", number))
    with pytest.raises(DataError) as caught:
        check(data, limit=30)
    said = str(caught.value)
    assert said.startswith("2 of the 6 test images cannot be read: ")
    for number in (0, 3):
        assert repr(data.catalog.paths[data.split.test[number]]) in said
    assert "replace or remove the file" in said
    assert "this run has begun" not in said
    with pytest.raises(DataError, match="this run has begun: it goes on with whole"):
        check(data, begun=True)


def test_of_many_the_first_ten_are_named(root):
    data = open_data(root)
    for number in range(12):
        cut_short(file_of(data, "train", number))
    with pytest.raises(DataError) as caught:
        check(data, limit=2)
    said = str(caught.value)
    assert said.startswith(
        "12 of the 24 training images (config.data.bad_share allows 2) cannot be read"
    )
    assert said.count(".png'") == 10 + 1  # and the first with its cause
    assert "and 2 more" in said


def test_few_broken_training_images_are_replaced_and_known_from_the_start(root):
    data = open_data(root)
    cut_short(file_of(data, "train", 5))
    said, replaced = check(data, limit=1)
    assert replaced.positions == {int(data.split.train[5])}
    assert "another of its class takes its place" in said[0]


def compare(record, root, pretrain_on="train"):
    return check_same_data(
        record, open_data(root), pretrain_on=pretrain_on, split="holdout", workdir=root
    )


@pytest.fixture
def record(root):
    return json.loads(json.dumps(record_data(open_data(root), "train")))


def test_test_files_may_be_others_and_are_counted(root, record):
    assert compare(record, root) == []
    data = open_data(root)
    write_noise(file_of(data, "test", 2), size=20)
    (said,) = compare(record, root)
    assert said.startswith("The files of 1 of the 6 test images are others than")
    assert repr(data.catalog.paths[data.split.test[2]]) in said
    assert kept_record(record | {"seen": {}}) == record


def test_other_training_files_and_paths_are_refused(root, record):
    data = open_data(root)
    write_noise(file_of(data, "train"), size=20)
    with pytest.raises(
        DataError, match=r"fingerprint .* only the files of test images"
    ):
        compare(record, root)


def test_another_path_is_refused(root, record):
    write_noise(root / "AAA" / "new.png")
    with pytest.raises(DataError, match="fingerprint"):
        compare(record, root)


def test_a_test_file_that_is_gone_is_refused(root, record):
    file_of(open_data(root), "test").unlink()
    with pytest.raises(DataError, match="fingerprint"):
        compare(record, root)


def test_test_images_that_trained_too_are_training_images(root):
    record = record_data(open_data(root), "all")
    write_noise(file_of(open_data(root), "test"), size=20)
    with pytest.raises(DataError, match="fingerprint"):
        compare(record, root, "all")


def test_a_validation_image_is_no_test_image(root):
    def with_validation():
        data = open_data(root)
        train = data.split.train
        split = data.split._replace(train=train[1:])
        return data._replace(split=split, validation=train[:1])

    record = record_data(with_validation(), "train")
    write_noise(file_of(open_data(root), "train"), size=20)
    with pytest.raises(DataError, match="fingerprint"):
        check_same_data(
            record,
            with_validation(),
            pretrain_on="train",
            split="holdout",
            workdir=root,
        )


def test_a_checkpoint_of_before_knows_no_test_files_and_takes_no_others(root, record):
    old = {key: record[key] for key in ("data_fingerprint", "split_digest", "classes")}
    assert kept_record(old) is None
    assert compare(old, root) == []
    write_noise(file_of(open_data(root), "test"), size=20)
    with pytest.raises(DataError, match="fingerprint"):
        compare(old, root)


@pytest.mark.slow
def test_a_broken_test_image_costs_no_training_and_a_mended_one_ends_the_run(
    root, tmp_path, capsys
):
    data, workdir = open_data(root), tmp_path / "run"

    def run():
        return main(
            [
                "--config=configs/supervised.py:smoke",
                f"--workdir={workdir}",
                f"--config.data.root={root}",
                "--config.data.size=16",
                "--config.mesh.devices=1",
            ]
        )

    def results():
        return json.loads((workdir / "results.json").read_text())

    tested = file_of(data, "test")
    whole = tested.read_bytes()
    cut_short(tested)
    assert run() == 3
    said = capsys.readouterr()
    assert said.err.startswith("bmjax: 1 of the 6 test images cannot be read: ")
    assert said.err.count("\n") == 1
    assert "compiled" not in said.out
    assert not (workdir / "checkpoints").exists()
    assert not (workdir / "config.json").exists()

    tested.write_bytes(whole)
    assert run() == 0
    before = results()

    (workdir / "report.html").unlink()  # as if it had ended before
    write_noise(tested, size=20)
    capsys.readouterr()
    assert run() == 0
    sentence = "The files of 1 of the 6 test images are others than when the run began"
    assert sentence in capsys.readouterr().out
    assert any(sentence in note for note in results()["notes"])
    assert sentence in (workdir / "report.html").read_text()
    assert results()["params_sha256"] == before["params_sha256"]
    assert results()["data_fingerprint"] != before["data_fingerprint"]

    (workdir / "report.html").unlink()
    write_noise(file_of(data, "train"), size=20)
    assert run() == 3
    assert "fingerprint" in capsys.readouterr().err
