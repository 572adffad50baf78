"""A run belongs to its corrections of labels, and goes on with no others."""

import json

import cv2
import numpy as np
import pytest

from bmjax.data.open_images import read_catalog
from bmjax.data.pipeline import next_of_class
from bmjax.data.splits.validation_part import split_run
from bmjax.errors import ConfigError, DataError
from bmjax.report.own_images import holds_images_of
from bmjax.report.run_files import RunFiles
from bmjax.run.build import RunData, build
from bmjax.run.run_settings import read_config
from bmjax.run.same_data import check_same_data, kept_record, record_data
from bmjax.run.workdir import check_owner, is_finished, keep_labels, labels_of
from configs import supervised


@pytest.fixture
def root(tmp_path):
    random = np.random.Generator(np.random.PCG64(0))
    for name in ("AAA", "BBB", "CCC"):
        (tmp_path / "cells" / name).mkdir(parents=True)
        for number in range(10):
            pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
            path = tmp_path / "cells" / name / f"{number}.png"
            assert cv2.imwrite(str(path), pixels)
    return tmp_path / "cells"


def table(folder, *rows):
    file = folder / f"labels-{len(list(folder.glob('labels-*')))}.csv"
    file.write_text("\n".join(["path,label", *rows]) + "\n")
    return file


def opened(root, labels=""):
    catalog = read_catalog(root, labels=labels, say=lambda note: None)
    parts = split_run(catalog, name="holdout", fold=0, seed=42, share=0.0)
    stand_ins = next_of_class(parts.split.train, catalog.labels)
    return RunData(catalog, parts.split, parts.digest, None, stand_ins)


def go_on(record, data, folder):
    return check_same_data(
        json.loads(json.dumps(record)),
        data,
        pretrain_on="train",
        split="holdout",
        workdir=folder,
    )


def test_a_run_goes_on_with_its_own_corrections_alone(root, tmp_path):
    """Even where they are of test images alone, or in another file."""
    plain = opened(root)
    first = plain.catalog.paths[plain.split.test[0]]
    name = "BBB" if first.startswith("AAA") else "AAA"
    mine = opened(root, table(tmp_path, f"{first},{name}"))
    same = opened(root, table(tmp_path, "CCC/1.png,CCC", f"./{first},{name}"))
    other = opened(root, table(tmp_path, "CCC/1.png,AAA"))
    records = {
        name: record_data(data, "train")
        for name, data in (("plain", plain), ("mine", mine))
    }
    assert "labels_digest" not in records["plain"]
    assert kept_record(records["mine"] | {"seen": {}}) == records["mine"]
    assert go_on(records["mine"], same, tmp_path) == []
    assert go_on(records["plain"], plain, tmp_path) == []
    for record, data in (("mine", other), ("mine", plain), ("plain", mine)):
        with pytest.raises(DataError, match="corrections") as error:
            go_on(records[record], data, tmp_path)
        assert (data.catalog.corrections[:12] or "none") in str(error.value)
        begun = records[record].get("labels_digest", "")
        assert (begun[:12] or "none") in str(error.value)


def finished(workdir, root, labels=""):
    """The files by which a finished run is known."""
    workdir.mkdir()
    data = opened(root, labels)
    results = {"data_fingerprint": data.catalog.fingerprint}
    if labels:
        results["labels"] = {"digest": data.catalog.corrections}
    (workdir / "results.json").write_text(json.dumps(results))
    (workdir / "report.html").write_text("")
    config = configuration(root, labels)
    (workdir / "config.json").write_text(json.dumps(config))
    keep_labels(workdir, data.catalog)
    return config


def configuration(root, labels=""):
    data = {"root": str(root), "labels": str(labels), "exclude": []}
    return {"seed": 0, "data": {**data, "synthetic_images": 0}}


def test_a_finished_run_is_known_by_its_corrections(root, tmp_path):
    file = table(tmp_path, "AAA/1.png,BBB", "AAA/2.png,-")
    run = tmp_path / "run"
    config = finished(run, root, file)
    assert is_finished(run, config)
    again = table(tmp_path, "AAA/2.png,", "AAA/1.png,BBB")
    assert is_finished(run, configuration(root, again))
    for other in ("", table(tmp_path, "AAA/1.png,CCC")):
        with pytest.raises(ConfigError, match="other corrections") as error:
            is_finished(run, configuration(root, other))
        assert repr(str(file)) in str(error.value)
        assert repr(str(other)) in str(error.value)
    file.write_text("path,label\nAAA/1.png,CCC\n")  # under the same name
    with pytest.raises(ConfigError, match="other corrections"):
        is_finished(run, config)


def test_a_workdir_of_before_the_key_goes_on(root, tmp_path):
    run = tmp_path / "run"
    config = finished(run, root)
    (run / "config.json").write_text(
        json.dumps(
            {
                **config,
                "data": {k: v for k, v in config["data"].items() if k != "labels"},
            }
        )
    )
    check_owner(run, config)
    assert is_finished(run, config)


def test_a_run_keeps_its_corrections(root, tmp_path):
    file = table(tmp_path, "AAA/1.png,BBB", "AAA/2.png,-")
    finished(tmp_path / "run", root, file)
    kept = labels_of(tmp_path / "run", str(file))
    assert (
        opened(root, kept).catalog.fingerprint == opened(root, file).catalog.fingerprint
    )
    finished(tmp_path / "plain", root)
    assert labels_of(tmp_path / "plain", str(file)) == ""  # nobody else's file


def test_pictures_are_shown_of_a_run_with_corrections(root, tmp_path):
    data = opened(root, table(tmp_path, "AAA/1.png,BBB"))
    results = {"data_fingerprint": data.catalog.fingerprint, "n_train": 24, "n_test": 6}
    plain = RunFiles({}, results, None, [], 0, [], None)
    assert not holds_images_of(plain, root)
    results = results | {"labels": {"digest": data.catalog.corrections}}
    assert holds_images_of(plain._replace(results=results), root)


def test_a_run_takes_the_corrected_labels(root, tmp_path):
    """For training, balanced too, and for tests, in the parts that it had without."""
    rows = [f"AAA/{number}.png,BBB" for number in range(3)]
    file = table(tmp_path, *rows, "CCC/0.png,-")
    config = supervised.get_config("smoke")
    config.mesh.devices = 1
    config.data.root, config.data.batch_size = str(root), 4
    config.data.sampling, config.data.per_class = "cycle", 16
    before = build(read_config(config), tmp_path / "run").data
    config.data.labels = str(file)
    after = build(read_config(config), tmp_path / "run").data
    names = np.array(after.catalog.paths)
    changed = names[after.catalog.labels != before.catalog.labels].tolist()
    assert changed == [f"AAA/{number}.png" for number in range(3)]
    for part in ("train", "test"):
        left = set(names[before.positions(part)]) - set(names[after.positions(part)])
        assert left <= {"CCC/0.png"}
        assert not set(names[after.positions(part)]) - set(
            names[before.positions(part)]
        )
    drawn = np.array([after.stream[place] for place in range(48)])
    assert (np.bincount(after.catalog.labels[drawn]) == 16).all()
    assert "CCC/0.png" not in names[drawn]
