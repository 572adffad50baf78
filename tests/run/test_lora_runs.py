"""A run with adapters: what it trains, and what leaves it."""

import json

import jax
import numpy as np
import pytest

import bmjax
from bmjax.devices.mesh import make_mesh, replicated
from bmjax.export.__main__ import main as export
from bmjax.main import main as train
from bmjax.training import checkpoint
from bmjax.training.trained_network import read_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the smoke variant."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    config = "--config=dinobloom:smoke,lora"
    duration = "--config.train.duration=4 steps"
    assert train([config, f"--workdir={folder}", duration]) == 0
    return folder


def test_adapters_alone_move_and_have_a_place_in_the_optimizers_state(run):
    everywhere = replicated(make_mesh(1))
    first, last = (
        checkpoint.read(run / "checkpoints", step, everywhere) for step in (3, 4)
    )
    params = last["params"]["network"]
    jax.tree.map(
        np.testing.assert_array_equal,
        params["backbone"],
        first["params"]["network"]["backbone"],
    )
    assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(params["lora"]))
    trained = sum(
        leaf.size for part in ("lora", "fc") for leaf in jax.tree.leaves(params[part])
    )
    state = sum(leaf.size for leaf in jax.tree.leaves(last["opt"]) if leaf.ndim)
    assert state == 2 * trained  # AdamW's two means


def test_loading_and_exporting_give_the_merged_network(run, tmp_path):
    merged = read_run(run, replicated(make_mesh(1)))
    assert "lora" not in merged.params
    file = tmp_path / "merged.safetensors"
    assert export([str(run), f"--out={file}"]) == 0
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8)
    one, other = bmjax.load(run), bmjax.load(file)
    assert one.digest == other.digest
    np.testing.assert_array_equal(one.features(images), other.features(images))
    # The adapted network of the run itself made these probabilities.
    results = json.loads((run / "results.json").read_text())
    assert results["params_sha256"] != one.digest
