"""A loaded network gives what its run gave, whatever the images come as."""

import json
import pickle
import shutil
import subprocess
import sys

import cv2
import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import bmjax
from bmjax.data.images.folder import read_folder
from bmjax.data.open_images import OpenedImages
from bmjax.errors import CheckpointError, ConfigError, DataError
from bmjax.export.__main__ import main as export
from bmjax.main import main as train
from tests.conftest import GOLDEN
from tests.helpers.golden_vit import vit_entries, vit_images, vit_record
from tests.helpers.small_run import small_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"), "supervised")


@pytest.fixture(scope="module")
def encoder(trained):
    return bmjax.load(trained.workdir, batch_size=8, devices=1)


def test_probabilities_are_the_runs_predictions(trained, encoder):
    table = bmjax.read_predictions(trained.workdir / "predictions.csv")
    paths = [trained.cells / path for path in table.paths]
    given = encoder.predict(paths)
    assert given.dtype == np.float32
    assert encoder.classes == tuple(table.classes)
    np.testing.assert_allclose(given, table.probabilities, atol=1e-5)
    assert bmjax.assess(table)["intervals"]


def test_folders_paths_and_pixels_give_the_same_features(trained, encoder):
    folder = trained.cells / "NGS"
    paths = sorted(path for path in folder.rglob("*.jpg"))
    pixels = np.stack([cv2.imread(str(p))[..., ::-1] for p in paths])
    features = encoder.features(folder)
    assert features.dtype == np.float32
    assert len(features) == len(paths)
    np.testing.assert_array_equal(encoder.features(paths), features)
    np.testing.assert_array_equal(encoder.features([str(p) for p in paths]), features)
    np.testing.assert_array_equal(encoder.features(pixels), features)
    np.testing.assert_array_equal(encoder.features(list(pixels)), features)
    np.testing.assert_array_equal(encoder.features(paths[0]), features[:1])


def test_forward_of_normalized_images_is_features_of_pixels(encoder):
    side = encoder.size
    pixels = np.random.default_rng(0).integers(
        0, 256, (5, side, side, 3), dtype=np.uint8
    )
    normalized = (pixels / 255 - encoder.mean) / encoder.std
    outputs = encoder.forward(normalized)
    np.testing.assert_allclose(
        outputs["features"], encoder.features(pixels), rtol=1e-4, atol=1e-5
    )
    assert outputs["logits"].shape == (5, len(encoder.classes))


def test_batches_and_devices_change_no_feature(trained, encoder):
    if len(jax.devices()) < 2:
        pytest.skip("one device")
    folder = trained.cells / "NGS"
    other = bmjax.load(trained.workdir, batch_size=3, devices=2)
    np.testing.assert_allclose(
        other.features(folder), encoder.features(folder), rtol=1e-4, atol=1e-5
    )


def test_an_exported_file_is_the_same_encoder(trained, encoder, tmp_path):
    weights = tmp_path / "weights.safetensors"
    command = [str(trained.workdir), f"--out={weights}"]
    # A residual network has the same names in both layouts.
    assert export([*command, "--layout=timm"]) == 0
    as_timms = weights.read_bytes()
    assert export([*command, "--force"]) == 0
    assert weights.read_bytes() == as_timms
    other = bmjax.load(weights, batch_size=8, devices=1)
    for name in ("network", "classes", "size", "mean", "std", "digest"):
        assert getattr(other, name) == getattr(encoder, name), name
    folder = trained.cells / "NGS"
    np.testing.assert_array_equal(other.predict(folder), encoder.predict(folder))


def test_images_unlike_those_of_known_weights_are_noted(trained):
    encoder = bmjax.load(trained.workdir, devices=1)
    white = cv2.imencode(".png", np.full((8, 8, 3), 250, np.uint8))[1].reshape(-1)
    images = OpenedImages([""] * 25, lambda position: white, lambda *about: "")
    assert "far from (0.563, 0.496, 0.735)" in encoder.moments_note(images)
    # A residual network's file of another program does not say its normalization.
    about = {"network": encoder.network, "mean": encoder.mean, "std": encoder.std}
    encoder.loaded = encoder.loaded._replace(about=about)
    assert encoder.moments_note(images) == ""


def test_no_images_give_no_rows(encoder):
    assert encoder.features([]).shape[0] == 0
    assert encoder.predict(np.zeros((0, 4, 4, 3), np.uint8)).shape == (
        0,
        len(encoder.classes),
    )


def test_it_is_a_transformer_of_scikit_learn(trained, encoder):
    catalog = read_folder(trained.cells)
    paths = [trained.cells / path for path in catalog.paths[:60]]
    copy = clone(encoder)
    assert copy.get_params() == encoder.get_params()
    assert copy.set_params(batch_size=4) is copy
    assert copy.fit(paths) is copy
    pipeline = make_pipeline(copy, LogisticRegression(max_iter=5000))
    labels = catalog.labels[:60]
    assert pipeline.fit(paths, labels).predict(paths).shape == (60,)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(
        again.transform(paths[:3]), encoder.features(paths[:3])
    )


def test_what_is_no_image_is_a_sentence(encoder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.jpg"):
        encoder.features([tmp_path / "broken.jpg"])
    with pytest.raises(DataError, match="uint8 array"):
        encoder.features(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(DataError, match="uint8 array"):
        encoder.features(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="normalized"):
        encoder.forward(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match="does not exist"):
        encoder.features(tmp_path / "nowhere")


def test_what_is_no_network_is_a_sentence(trained, tmp_path):
    with pytest.raises(ConfigError, match="neither a run's folder"):
        bmjax.load(tmp_path / "nowhere.pth")
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(ConfigError, match="network=NAME"):
        bmjax.load(tmp_path / "weights.pth")
    with pytest.raises(CheckpointError):
        bmjax.load(tmp_path / "weights.pth", "resnet50")
    with pytest.raises(ConfigError, match="leave the network out"):
        bmjax.load(trained.workdir, "resnet50")


@pytest.mark.slow
def test_one_of_several_networks_in_a_file_is_named():
    path = GOLDEN / "tiny_zip.pth"
    whole = bmjax.load(path, "resnet_tiny")
    assert bmjax.load(f"{path}::state_dict", "resnet_tiny").digest == whole.digest
    with pytest.raises(CheckpointError, match=r"an entry 'ema'.*found state_dict"):
        bmjax.load(f"{path}::ema", "resnet_tiny")
    with pytest.raises(ConfigError, match=r"nowhere\.pth::ema' is neither"):
        bmjax.load("nowhere.pth::ema", "resnet_tiny")


@pytest.mark.slow
def test_a_run_without_a_classifier_gives_features_alone(trained, tmp_path):
    workdir = tmp_path / "run"
    command = [
        "--config=swav:smoke",
        f"--workdir={workdir}",
        f"--config.data.root={trained.cells}",
        "--config.mesh.devices=1",
    ]
    assert train(command) == 0
    encoder = bmjax.load(workdir, devices=1)
    table = bmjax.read_predictions(workdir / "predictions.csv")
    paths = [trained.cells / path for path in table.paths[:20]]
    np.testing.assert_allclose(
        encoder.predict(paths), table.probabilities[:20], atol=1e-5
    )
    bare = shutil.copytree(workdir, tmp_path / "bare")
    (bare / "features" / "linear.npz").unlink()
    other = bmjax.load(bare, devices=1)
    np.testing.assert_array_equal(other.features(paths), encoder.features(paths))
    with pytest.raises(ConfigError, match="no linear classifier yet"):
        other.predict(paths)


def test_the_package_names_its_interface_without_jax():
    code = (
        "import sys, bmjax; dir(bmjax); assert 'jax' not in sys.modules; "
        "bmjax.read_predictions, bmjax.assess, bmjax.compare; "
        "assert 'jax' not in sys.modules; assert callable(bmjax.load)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(bmjax.__all__) <= set(dir(bmjax))
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        bmjax.lod  # noqa: B018


@pytest.mark.parametrize(
    ("network", "case"), [("dinov3_tiny16", "n2_64"), ("dinov2_tiny14", "n3_56")]
)
def test_a_loaded_file_gives_the_authors_class_token(network, case, tmp_path):
    path = tmp_path / "authors.safetensors"
    save_file(vit_entries(network), path)
    encoder = bmjax.load(path, batch_size=4, devices=1)
    assert encoder.network == network  # by the shapes
    record = vit_record(network)
    images = vit_images(f"{network}-{case}", tuple(map(int, record[f"{case}/shape"])))
    found = encoder.forward(images)["features"]
    expected = record[f"{case}/cls"]
    # float32; values of order 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_pooling_goes_with_a_run_its_features_and_its_file(tmp_path, capsys):
    more = (
        "--config.model.name=dinov2_nano14_reg",
        "--config.model.pooling=cls_patch_mean",
        "--config.model.drop_path=0.1",
        "--config.data.size=42",
        "--config.augment.large_size=28",
    )
    run = small_run(tmp_path, "supervised", *more)
    results = json.loads((run.workdir / "results.json").read_text())
    how = {"pooling": "cls_patch_mean", "interpolation": "size_antialias"}
    assert {key: results[key] for key in how} == how
    file = tmp_path / "out.safetensors"
    assert export([str(run.workdir), f"--out={file}"]) == 0
    whole, exported = bmjax.load(run.workdir), bmjax.load(file)
    assert whole.feature_settings == exported.feature_settings == how
    features = whole.features(run.cells / "NGS")
    assert features.shape[1] == 32
    np.testing.assert_array_equal(exported.features(run.cells / "NGS"), features)
    np.testing.assert_array_equal(
        exported.predict(run.cells / "NGS"), whole.predict(run.cells / "NGS")
    )
    timms = tmp_path / "timm.safetensors"
    capsys.readouterr()
    assert export([str(run.workdir), f"--out={timms}", "--layout=timm"]) == 0
    said = capsys.readouterr().out
    assert "holds backbone, fc;" in said
    assert "loaded by no model of timm of these sizes" in said
    # The class token and its position, which timm adds, are one sum.
    np.testing.assert_array_equal(
        bmjax.load(timms).features(run.cells / "NGS"), features
    )
    for source in (run.workdir, file):
        other = bmjax.load(source, pooling="cls")
        np.testing.assert_allclose(
            other.features(run.cells / "NGS"), features[:, :16], rtol=1e-4, atol=1e-5
        )
        with pytest.raises(ConfigError, match="pooling = 'cls_patch_mean', not 'cls'"):
            other.predict(run.cells / "NGS")
    start = (f"--config.init_from={file}", "--config.train.duration=0 steps")
    capsys.readouterr()
    again = [
        f"--config.data.root={run.cells}",
        "--config.mesh.devices=1",
        *more,
        *start,
    ]
    command = ["--config=supervised:smoke", f"--workdir={tmp_path / 'again'}", *again]
    assert train([*command, "--config.model.pooling=patch_mean"]) == 5
    assert "set --config.model.pooling=cls_patch_mean" in capsys.readouterr().err
    assert train(command) == 0
    assert "backbone, classifier\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "stored", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)]
)
def test_a_file_gives_the_authors_features_in_64_bits(tmp_path, stored):
    network, case = "dinov2_tiny14", "n3_56"
    entries = {name: v.astype(stored) for name, v in vit_entries(network).items()}
    path = tmp_path / "weights.safetensors"
    save_file(entries, path)
    record = vit_record(network)
    shape = tuple(int(length) for length in record[f"{case}/shape"])
    images = vit_images(f"{network}-{case}", shape).astype(np.float64)
    with jax.enable_x64(True):
        features = bmjax.load(path, network, batch_size=3, devices=1).forward(images)
    features = features["features"]
    assert features.dtype == np.float64
    expected = record[f"{case}/cls"]
    assert abs(features - expected).max() < 1e-9
    narrow = bmjax.load(path, network, batch_size=3, devices=1).forward(images)
    assert narrow["features"].dtype == np.float32
    assert 1e-9 < abs(narrow["features"] - expected).max() < 1e-4
