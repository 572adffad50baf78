"""A run with adapters: what it trains, and what leaves it."""

import json

import cv2
import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

import bmjax
from bmjax.devices.mesh import make_mesh, replicated
from bmjax.embed.__main__ import main as embed
from bmjax.export.__main__ import main as export
from bmjax.main import main as train
from bmjax.predict.__main__ import main as predict
from bmjax.training import checkpoint
from bmjax.training.trained_network import read_run
from tests.helpers.vit_layouts import own_entries

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the smoke variant, beside the weights that it began with."""
    folder = tmp_path_factory.mktemp("lora") / "run"
    backbone = folder.with_name("backbone.safetensors")
    save_file(own_entries("dinov2_nano14"), backbone)
    config = "--config=dinobloom:smoke,lora"
    more = ["--config.train.duration=4 steps", f"--config.init_from={backbone}"]
    more.append("--config.data.resize=bicubic")  # DINOv2's
    assert train([config, f"--workdir={folder}", *more]) == 0
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


def test_adapters_beside_their_backbone_are_the_merged_network(run, tmp_path, capsys):
    whole, apart = tmp_path / "whole.safetensors", tmp_path / "apart.safetensors"
    backbone = run.with_name("backbone.safetensors")
    assert export([str(run), f"--out={whole}"]) == 0
    assert export([str(run), f"--out={apart}", "--adapters"]) == 0
    said = capsys.readouterr().out
    assert "adapters of rank 2 on qkv, times 128 / 2" in said
    assert "(backbone.safetensors)" in said
    assert apart.stat().st_size < 0.5 * whole.stat().st_size
    images = np.random.default_rng(0).normal(size=(3, 28, 28, 3)).astype(np.float32)
    one = bmjax.load(whole)
    other = bmjax.load(backbone, adapters=apart)
    assert one.loaded.about == other.loaded.about
    assert one.digest == other.digest != bmjax.load(backbone).digest
    for name, value in one.forward(images).items():
        np.testing.assert_array_equal(other.forward(images)[name], value)


def test_a_run_notes_once_that_its_images_are_unlike_its_weights(run):
    notes = json.loads((run / "results.json").read_text())["notes"]
    far = "far from (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225)"
    (note,) = (note for note in notes if far in note)
    assert note.replace("'", "&#39;") in (run / "report.html").read_text()


def test_both_commands_that_apply_a_network_take_adapters(run, tmp_path, capsys):
    whole, apart = tmp_path / "whole.safetensors", tmp_path / "apart.safetensors"
    backbone = run.with_name("backbone.safetensors")
    assert export([str(run), f"--out={whole}"]) == 0
    assert export([str(run), f"--out={apart}", "--adapters"]) == 0
    cells = tmp_path / "cells"
    cells.mkdir()
    pixels = np.random.default_rng(0).integers(200, 256, (20, 30, 30, 3), np.uint8)
    for number, image in enumerate(pixels):
        cv2.imwrite(str(cells / f"{number}.png"), image)
    for command in (predict, embed):
        written = []
        for n, source in enumerate(
            ([f"--run={whole}"], [f"--run={backbone}", f"--adapters={apart}"])
        ):
            out = tmp_path / f"{command.__module__}-{n}.csv"
            assert command([str(cells), *source, f"--out={out}"]) == 0
            written.append(out.read_text())
        assert written[0] == written[1]
        said = capsys.readouterr().err
        assert said.count("(20 of 20 images), far from (0.485, 0.456, 0.406)") == 2
