"""One command compares networks by few labels: fairly, resumably, or it refuses."""

import csv
import json

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from bmjax.data.open_images import read_catalog
from bmjax.data.seen_images import Seen, record_images
from bmjax.data.splits.make_split import make_split, split_digest
from bmjax.data.splits.validation_part import hold_out_validation
from bmjax.errors import ConfigError
from bmjax.export.__main__ import main as export
from bmjax.few_labels import main, parse_per_class
from bmjax.files import write_cache_note
from bmjax.main import main as train
from bmjax.run import labeled_fits
from bmjax.run.common_split import refuse_unfit, run_split, training_of
from bmjax.run.frozen_features import stored_features
from bmjax.training import checkpoint
from tests.helpers.report_pages import Page
from tests.helpers.small_run import small_run

IMAGES = {"EBO": 20, "LYT": 10, "NGS": 15}


def _cells(folder, images=IMAGES):
    for number, (name, count) in enumerate(images.items()):
        (folder / name).mkdir(parents=True)
        for image in range(count):
            pixels = np.full((8, 8, 3), 20 * number + image, np.uint8)
            assert cv2.imwrite(str(folder / name / f"{image:02d}.png"), pixels)
    return folder


def _about(cells, fold, pretrain_on="train", **more):
    catalog = read_catalog(cells)
    split = make_split(catalog, name="kfold", fold=fold, seed=42)
    shown = np.arange(len(catalog)) if pretrain_on == "all" else split.train
    return (
        catalog,
        split,
        {
            "data_fingerprint": catalog.fingerprint,
            "split_digest": split_digest(catalog, split),
            "seen": record_images(catalog, shown).as_json(),
            **more,
        },
    )


def _run(folder, cells, *, fold=0, method="swav", shift=1.0, **more):
    """The files of a finished run, its features drawn around each class's number."""
    pretrain_on = more.get("pretrain_on", "train")
    digest = {key: more[key] for key in ("split_digest",) if key in more}
    catalog, split, meta = _about(cells, fold, pretrain_on, **digest)
    params = {"network": {"backbone": {"kernel": np.full(3, shift, np.float32)}}}
    checkpoint.save(
        folder / "checkpoints", 1, {"params": params, "batch_stats": {}}, meta=meta
    )
    data = {"root": str(cells), "split": "kfold", "fold": fold, "split_seed": 42}
    data |= {"exclude": [], "size": 8, "mean": [0.5] * 3, "std": [0.2] * 3}
    data |= {"bad_share": 0.001, "pretrain_on": pretrain_on}
    data |= {"validation_share": more.get("validation_share", 0.0)}
    config = {"seed": 0, "data": data, "model": {"name": "resnet_tiny"}}
    config |= {"method": {"name": method}, "init_from": more.get("init_from", "")}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "features").mkdir()
    random = np.random.Generator(np.random.PCG64(0))
    note = {
        "params_sha256": checkpoint.digest(params),
        "data_fingerprint": catalog.fingerprint,
    }
    for part, positions in split._asdict().items():
        noise = random.standard_normal((len(positions), 4))
        features = shift * catalog.labels[positions, None] + noise
        np.save(folder / "features" / f"{part}.npy", features.astype(np.float32))
        write_cache_note(folder / "features" / f"{part}.json", [f"{part}.npy"], **note)
    return folder


def _file(path, about):
    metadata = {"bmjax": json.dumps(about)} if about else None
    save_file({"conv1.weight": np.zeros(1, np.float32)}, path, metadata=metadata)
    return path


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return _cells(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def runs(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return (
        _run(folder / "swav", cells),
        _run(folder / "labels", cells, method="supervised", shift=3.0),
    )


def _judge(*sources, out, per_class="2", draws=1, more=()):
    given = [*map(str, sources), f"--out={out}", "--devices=1", *more]
    return main([*given, f"--per-class={per_class}", f"--draws={draws}"])


@pytest.fixture(scope="module")
def judged(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged") / "out"
    assert _judge(*runs, out=out, per_class="2,all", draws=2) == 0
    return out


def _read(out):
    return json.loads((out / "few_labels.json").read_text())


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_everything_is_written_and_every_number_is_there(judged, runs):
    stored = _read(judged)
    assert [one["name"] for one in stored["systems"]] == ["swav", "labels"]
    assert stored["per_class"] == [2, "all"]
    assert [one["images"] for one in stored["labeled"]] == [6, 36]
    for system in stored["systems"]:
        assert len(system["results"]) == 2 * (2 + 1)  # "all" is one draw
        assert all(0 <= one["macro_f1"] <= 1 for one in system["results"])
    assert len(_rows(judged / "few_labels.csv")) == 12
    better = {
        one["name"]: [r["accuracy"] for r in one["results"] if r["per_class"] == "all"]
        for one in stored["systems"]
    }
    assert min(better["labels"]) > max(better["swav"])
    assert Page((judged / "index.html").read_text()).open == []


@pytest.mark.slow
def test_no_test_image_is_drawn_and_draws_are_nested(judged, cells):
    catalog = read_catalog(cells)
    split = make_split(catalog, name="kfold", fold=0, seed=42)
    train_paths = {catalog.paths[position] for position in split.train}
    drawn = _rows(judged / "draws.csv")
    assert {row["path"] for row in drawn} <= train_paths
    assert all(row["path"].startswith(row["label"]) for row in drawn)
    assert len(drawn) == 2 * 3 * 2  # draws x classes x images


@pytest.mark.slow
def test_the_order_and_the_number_of_systems_change_nothing(judged, runs, tmp_path):
    assert _judge(*runs[::-1], out=tmp_path / "other", draws=2) == 0
    draws = [(out / "draws.csv").read_bytes() for out in (judged, tmp_path / "other")]
    assert draws[0] == draws[1]
    ours, theirs = _read(judged), _read(tmp_path / "other")
    assert ours["labeled"][:1] == theirs["labeled"]
    for one, same in zip(ours["systems"], theirs["systems"][::-1], strict=True):
        assert one["name"] == same["name"]
        assert same["results"] == [r for r in one["results"] if r["per_class"] == 2]


def test_classes_with_fewer_images_give_all_and_are_counted(runs, tmp_path):
    assert _judge(runs[0], out=tmp_path / "out", per_class="10") == 0
    (labeled,) = _read(tmp_path / "out")["labeled"]
    assert labeled["short_classes"] == ["LYT"]
    assert labeled["images"] == 10 + 8 + 10
    page = Page((tmp_path / "out" / "index.html").read_text())
    assert [text for _, text in page.in_table("labeled", "td")] == ["28", "1"]


@pytest.mark.slow
def test_a_second_start_fits_nothing_anew(judged, runs, monkeypatch):
    def fail(*given, **named):
        raise AssertionError("fitted again")

    before = (judged / "few_labels.json").read_bytes()
    monkeypatch.setattr(labeled_fits, "judge_labeled", fail)
    assert _judge(*runs, out=judged, per_class="2,all", draws=2) == 0
    assert (judged / "few_labels.json").read_bytes() == before


@pytest.mark.slow
def test_a_system_that_knew_all_labels_is_said_to(judged):
    text = (judged / "index.html").read_text()
    assert "labels was trained with the labels of all 36 training images" in text
    assert "without labels (SwAV)" in text
    assert [one["labels"] for one in _read(judged)["systems"]] == ["none", "all"]


def test_what_a_run_began_with_is_followed_back(runs, cells, tmp_path):
    common = run_split(runs[0])
    given = {
        "swav": ("swav", runs[1], "all"),
        "frozen": ("linear", runs[0], "none"),
        "tuned": ("supervised", runs[0], "all"),
        "lost": ("swav", tmp_path / "nowhere", "unknown"),
    }
    for name, (method, start, labels) in given.items():
        run = _run(tmp_path / name, cells, method=method, init_from=str(start))
        assert training_of(run, common).labels == labels


def test_a_run_on_another_fold_is_refused_with_both(runs, cells, tmp_path, capsys):
    other = _run(tmp_path / "other", cells, fold=1)
    assert _judge(runs[0], other, out=tmp_path / "out") == 2
    said = capsys.readouterr().err
    for fold in (0, 1):
        *_, meta = _about(cells, fold)
        assert meta["split_digest"][:12] in said
        assert f"kfold {fold}" in said
    assert not (tmp_path / "out").exists()


def test_a_run_with_a_validation_part_has_its_own_split(cells, tmp_path):
    catalog = read_catalog(cells)
    whole = make_split(catalog, name="kfold", fold=0, seed=42)
    split, held = hold_out_validation(catalog, whole, share=0.25, name="kfold", seed=42)
    digest = split_digest(catalog, split, held)
    run = _run(tmp_path / "run", cells, split_digest=digest, validation_share=0.25)
    common = run_split(run)
    assert common.digest == digest
    np.testing.assert_array_equal(common.split.train, split.train)
    assert len(held)
    assert not np.isin(held, common.split.train).any()


def test_a_run_on_other_images_is_refused_with_both(runs, cells, tmp_path, capsys):
    others = _cells(tmp_path / "cells", IMAGES | {"EBO": 25})
    assert _judge(runs[0], _run(tmp_path / "run", others), out=tmp_path / "out") == 2
    said = capsys.readouterr().err
    for folder in (cells, others):
        assert read_catalog(folder).fingerprint[:12] in said


def test_images_that_changed_are_refused_and_others_are_taken(runs, tmp_path, capsys):
    moved = _cells(tmp_path / "moved")
    out = tmp_path / "out"
    assert _judge(runs[0], out=out, more=[f"--data={moved}"]) == 0
    (moved / "EBO" / "00.png").unlink()
    assert _judge(runs[0], out=out, more=[f"--data={moved}"]) == 3
    assert "are not those of the run" in capsys.readouterr().err


def test_a_network_that_saw_test_images_is_refused(runs, cells, tmp_path, capsys):
    *_, trained_on = _about(cells, 1)
    about = {"network": "resnet_tiny", "method": "swav", "trained_on": trained_on}
    path = _file(tmp_path / "w.safetensors", about)
    assert _judge(runs[0], path, out=tmp_path / "out") == 2
    assert "was trained on 9 of the 9 test images" in capsys.readouterr().err
    shown_all = _run(tmp_path / "all", cells, pretrain_on="all")
    assert _judge(shown_all, out=tmp_path / "out") == 2
    assert "of the 9 test images of kfold 0" in capsys.readouterr().err


def test_what_is_not_known_is_said(runs, tmp_path):
    common, said = run_split(runs[0]), []
    refuse_unfit(_file(tmp_path / "other.safetensors", {}), common, said.append)
    assert "is not known" in said[0]
    seen = Seen(np.zeros(0, np.uint64), ("imagenet.pth",)).as_json()
    about = {"network": "resnet_tiny", "trained_on": {"seen": seen}}
    refuse_unfit(_file(tmp_path / "w.safetensors", about), common, said.append)
    assert "began with imagenet.pth" in said[1]
    assert training_of(tmp_path / "other.safetensors", common).labels == "unknown"


def test_features_of_other_parameters_are_not_taken(cells, tmp_path):
    run = _run(tmp_path / "run", cells)
    fingerprint = read_catalog(cells).fingerprint
    sizes = {"train": 36, "test": 9}
    arrays, _ = stored_features(run, fingerprint, sizes)
    assert arrays["train"].shape == (36, 4)
    assert stored_features(run, "other", sizes) is None
    assert stored_features(run, fingerprint, {"train": 35, "test": 9}) is None
    path = run / "features" / "train.npy"
    path.write_bytes(path.read_bytes()[:-8])
    assert stored_features(run, fingerprint, sizes) is None


def test_per_class_is_sorted_and_all_comes_last():
    assert parse_per_class("all, 10,5,5") == (5, 10, None)
    for wrong in ("", "0,5", "5;10", "-1", "some", "5.5"):
        with pytest.raises(ConfigError, match="whole numbers from 1"):
            parse_per_class(wrong)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--draws=0"], "--draws=0; give 1 or more"),
        (["--seed=-1"], "--seed=-1; give 0 or more"),
        (["--fold=1"], "leave --fold out"),
        (["nowhere"], "'nowhere' does not exist"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    runs, tmp_path, capsys, more, sentence
):
    given = [str(runs[0]), *more, f"--out={tmp_path / 'out'}", "--devices=1"]
    assert main(given) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_places_that_belong_to_others_are_refused(runs, tmp_path, capsys):
    assert _judge(runs[0], runs[0], out=tmp_path / "out") == 2
    assert "given twice" in capsys.readouterr().err
    assert _judge(runs[0], out=runs[1]) == 2
    assert "run's own folder" in capsys.readouterr().err
    (tmp_path / "index.html").write_text("mine")
    assert _judge(runs[0], out=tmp_path) == 2
    assert "no page of bmjax" in capsys.readouterr().err
    weights = _file(tmp_path / "w.safetensors", {})
    assert _judge(weights, out=tmp_path / "out") == 2
    assert "--data is missing" in capsys.readouterr().err


@pytest.mark.slow
def test_two_runs_and_a_file_of_weights_from_images_to_page(tmp_path, capsys):
    first = small_run(tmp_path / "swav", "swav")
    second = tmp_path / "supervised"
    command = ["--config=supervised:smoke", f"--workdir={second}"]
    command += [f"--config.data.root={first.cells}", "--config.mesh.devices=1"]
    assert train([*command, "--config.data.split=holdout"]) == 0
    exported = tmp_path / "swav.safetensors"
    assert export([str(first.workdir), f"--out={exported}"]) == 0
    out = tmp_path / "out"
    sources = [str(first.workdir), str(second), str(exported)]
    given = [*sources, f"--out={out}", "--per-class=3,all", "--draws=2", "--devices=1"]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "those of the run" in said
    swav, supervised, weights = _read(out)["systems"]
    assert [one["features"] for one in (swav, weights)] == ["the run's", "computed"]
    assert supervised["labels"] == "all"
    for one, other in zip(swav["results"], weights["results"], strict=True):
        assert one["accuracy"] == pytest.approx(other["accuracy"], abs=0.1)
    # With every label, the nearest neighbor is the one of the run's own page.
    known = json.loads((first.workdir / "results.json").read_text())["probe"]["knn_1"]
    (nearest,) = (
        one
        for one in swav["results"]
        if one["per_class"] == "all" and one["classifier"] == "nearest"
    )
    assert nearest["accuracy"] == pytest.approx(known["accuracy"])
    assert main([str(exported), *given[3:], f"--data={first.cells}"]) == 0
    assert "features of" not in capsys.readouterr().out  # those that are there
