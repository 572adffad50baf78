"""iBOT from given weights: what it takes, where it puts them, and what leaves a run."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import bmjax
from bmjax.devices.mesh import make_mesh, replicated
from bmjax.errors import ConfigError
from bmjax.export.__main__ import main as export
from bmjax.main import main as train
from bmjax.models import make_network
from bmjax.models.weight_files.state_dict import write_weights
from bmjax.run.compile import init_state
from bmjax.run.init_from import start_from
from bmjax.run.validate import validate
from bmjax.training import checkpoint
from configs import ibot
from tests.helpers.toy_run import shapes_of, toy_run

NETWORK = "dinov2_nano14"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A file in the layout of DINOv2's own, and what is in it."""
    folder = tmp_path_factory.mktemp("published")
    network = make_network(NETWORK)
    images = jnp.zeros((1, 28, 28, 3))
    params, batch_stats = jax.jit(network.init)(jax.random.key(5), images)
    write_weights(
        folder / "bare.safetensors", NETWORK, params, batch_stats, metadata={}
    )
    token = np.arange(16, dtype=np.float32).reshape(1, 16)
    file = folder / "dinov2.safetensors"
    save_file({**load_file(folder / "bare.safetensors"), "mask_token": token}, file)
    return file, params, token


@pytest.mark.slow
def test_it_goes_on_from_dinov2s_file_as_teacher_and_student(published):
    file, params, token = published
    run = toy_run("ibot", init_from=str(file))
    state = init_state(run.learner, shapes_of(run), run.mesh)
    said = []
    begun = start_from(state, run.settings, run.data, said.append)
    assert said[-1].endswith(
        "backbone, projection head (new), prototypes (new), mask token"
    )
    pixels = np.random.default_rng(0).random((2, 56, 56, 3), np.float32)
    features = make_network(NETWORK).apply(params, {}, jnp.asarray(pixels), train=False)
    for tree in (begun.params, begun.params["student"]):
        jax.tree.map(
            np.testing.assert_array_equal,
            tree["network"]["backbone"],
            params["backbone"],
        )
        np.testing.assert_array_equal(tree["mask_token"], token.T)
        found = run.learner.method.predict(tree, {}, jnp.asarray(pixels))
        np.testing.assert_array_equal(found["features"], features[0]["features"])
    # The heads stay as they were drawn.
    jax.tree.map(
        np.testing.assert_array_equal,
        *(tree["student"]["patch_head"] for tree in (begun.params, state.params)),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of the smoke variant, centered by a running mean."""
    folder = tmp_path_factory.mktemp("ibot") / "run"
    assert train(command(folder)) == 0
    return folder


def command(folder, *more):
    options = ("--config.method.centering=softmax", "--config.mesh.devices=1", *more)
    return ["--config=ibot:smoke", f"--workdir={folder}", *options]


@pytest.mark.slow
def test_a_run_goes_on_with_its_teacher_and_centers(finished, tmp_path):
    before = json.loads((finished / "results.json").read_text())
    again = tmp_path / "run"
    shutil.copytree(finished, again)
    everywhere = replicated(make_mesh(1))
    first, last = (
        checkpoint.read(again / "checkpoints", step, everywhere) for step in (1, 2)
    )
    for name in ("center", "patch_center"):
        assert np.any(getattr_or_key(first["method"], name))
        assert np.any(
            getattr_or_key(first["method"], name)
            != getattr_or_key(last["method"], name)
        )
    shutil.rmtree(again / "checkpoints" / "2")
    for name in ("report.html", "results.json"):
        (again / name).unlink()
    assert train(command(again)) == 0
    after = json.loads((again / "results.json").read_text())
    assert after["params_sha256"] == before["params_sha256"]


def getattr_or_key(saved, name):
    """A checkpoint is read as dicts, whatever was saved."""
    return np.asarray(saved[name] if isinstance(saved, dict) else getattr(saved, name))


@pytest.mark.slow
def test_what_a_run_exports_has_its_mask_token_and_a_run_goes_on_from_it(
    finished, tmp_path
):
    file = tmp_path / "ibot.safetensors"
    assert export([str(finished), f"--out={file}"]) == 0
    assert load_file(file)["mask_token"].shape == (1, 16)
    images = np.random.default_rng(0).integers(0, 256, (3, 56, 56, 3), np.uint8)
    one, other = bmjax.load(finished), bmjax.load(file)
    np.testing.assert_array_equal(one.features(images), other.features(images))
    for source in (finished, file):
        run = toy_run("ibot", init_from=str(source), **{"method.centering": "softmax"})
        state = init_state(run.learner, shapes_of(run), run.mesh)
        said = []
        start_from(state, run.settings, run.data, said.append)
        assert said[-1].endswith("backbone, projection head, prototypes, mask token")


@pytest.mark.parametrize(
    "changes",
    [
        {"model.name": "resnet_tiny", "data.size": 32},
        {"model.pooling": "cls_patch_mean"},
    ],
)
def test_a_network_without_class_features_is_refused_before_anything(changes):
    config = ibot.get_config("smoke")
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=r"no class token as features; use a vision"):
        validate(config)
