"""Adapters in a file of their own fit the weights they were trained beside alone."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bmjax.devices.mesh import make_mesh, replicated
from bmjax.errors import CheckpointError, ConfigError
from bmjax.export.__main__ import main as export
from bmjax.models.lora import init_adapters
from bmjax.training import checkpoint
from bmjax.training.adapters import read_adapters_onto, read_run_adapters
from bmjax.training.trained_network import (
    check_file,
    metadata_of,
    read_file,
    read_run,
    write_file,
)
from tests.helpers.vit_layouts import own_entries

NAME = "dinov2_nano14"
LORA = {"rank": 2, "alpha": 6.0, "layers": ["qkv", "fc2"]}
DATA = {"size": 28, "mean": [0.5] * 3, "std": [0.2] * 3}
DATA |= {"split": "stratified", "fold": 0, "split_seed": 0}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A file of weights, and its parameters."""
    file = tmp_path_factory.mktemp("backbone") / "weights.safetensors"
    save_file(own_entries(NAME), file)
    return file, read_file(file, NAME)._replace(about={"network": NAME})


def make_run(folder, params, *, method="supervised", lora=LORA):
    """What a run leaves: its configuration and its checkpoint."""
    folder.mkdir()
    config = {"data": DATA, "model": {"name": NAME}, "method": {"name": method}}
    config |= {"lora": lora, "init_from": "published/weights.safetensors"}
    (folder / "config.json").write_text(json.dumps(config))
    state = {"params": params, "batch_stats": {}}
    meta = {"data_fingerprint": "0", "classes": ["BAS", "EOS"]}
    checkpoint.save(folder / "checkpoints", 3, state, meta=meta)
    return folder


def moved_adapters(params):
    key = jax.random.key(0)
    shapes = {"rank": LORA["rank"], "layers": LORA["layers"]}
    adapters = init_adapters(key, params["backbone"], **shapes)
    return jax.tree.map(lambda leaf: leaf + 0.01, adapters)


@pytest.fixture(scope="module")
def run(backbone, tmp_path_factory):
    """A run with a classifier beside its adapters."""
    own = backbone[1].params
    fc = {"kernel": np.full((16, 2), 0.1, np.float32), "bias": np.zeros(2, np.float32)}
    network = {"backbone": own["backbone"], "lora": moved_adapters(own), "fc": fc}
    return make_run(tmp_path_factory.mktemp("adapters") / "run", {"network": network})


@pytest.fixture(scope="module")
def apart(run):
    """The run's adapters, exported."""
    file = run.with_name("apart.safetensors")
    assert export([str(run), f"--out={file}", "--adapters"]) == 0
    return file


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_beside_their_backbone_they_are_the_merged_network(run, apart, backbone):
    file, weights = backbone
    found = read_adapters_onto(weights, file, apart)
    merged = read_run(run, replicated(make_mesh(1)))
    assert found.about == json.loads(json.dumps(merged.about))
    assert_same(found.params, merged.params)


def test_the_file_holds_all_but_the_backbone_and_says_what_it_belongs_to(apart):
    entries = load_file(apart)
    layers = [f"blocks.{n}.{name}" for n in (0, 1) for name in ("attn.qkv", "mlp.fc2")]
    thin = {f"{layer}.lora_{side}.weight" for layer in layers for side in "AB"}
    assert entries.keys() == thin | {"head.weight", "head.bias"}
    assert entries["blocks.0.attn.qkv.lora_A.weight"].shape == (2, 16)
    assert entries["blocks.0.attn.qkv.lora_B.weight"].shape == (48, 2)
    about = metadata_of(apart)
    assert about["lora"] == LORA
    assert (about["network"], about["size"], about["mean"]) == (NAME, 28, [0.5] * 3)
    assert about["adapted_backbone"]["init_from"] == "weights.safetensors"


@pytest.mark.slow
def test_a_teachers_belong_to_the_backbone_that_its_student_began_with(
    backbone, tmp_path
):
    own = backbone[1].params["backbone"]
    # An average of two equal numbers is not always that number.
    drifted = jax.tree.map(lambda leaf: leaf * np.float32(1 + 2e-7), own)
    network = {"backbone": drifted, "lora": moved_adapters({"backbone": own})}
    student = {"network": {**network, "backbone": own}}
    run = make_run(
        tmp_path / "run", {"network": network, "student": student}, method="ibot"
    )
    file = tmp_path / "apart.safetensors"
    write_file(file, read_run_adapters(run, replicated(make_mesh(1))))
    found = read_adapters_onto(backbone[1], backbone[0], file)
    merged = read_run(run, replicated(make_mesh(1)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        found.params,
        merged.params,
    )


def test_those_of_other_weights_are_refused_with_both_digests(apart, backbone):
    file, weights = backbone
    moved = jax.tree.map(lambda leaf: leaf + 1e-3, weights.params)
    ours = metadata_of(apart)["adapted_backbone"]["sha256"][:12]
    with pytest.raises(CheckpointError, match=rf"{ours} \(weights.*has [0-9a-f]{{12}}"):
        read_adapters_onto(weights._replace(params=moved), file, apart)


def test_those_of_another_network_are_refused_with_both_names(apart, backbone):
    file, weights = backbone
    other = weights._replace(about={"network": "dinov2_tiny14"})
    with pytest.raises(CheckpointError, match=f"of a {NAME}, and .*is a dinov2_tiny14"):
        read_adapters_onto(other, file, apart)


@pytest.mark.parametrize("change", ["missing", "mis-shaped", "too many"])
def test_entries_that_are_not_these_adapters_are_refused(
    change, apart, backbone, tmp_path
):
    entries, first = load_file(apart), "blocks.1.mlp.fc2.lora_A.weight"
    if change == "missing":
        entries.pop(first)
    elif change == "mis-shaped":
        entries[first] = entries[first][:1]
    else:
        first = "blocks.1.mlp.fc1.lora_A.weight"
        entries[first] = np.zeros((2, 16), np.float32)
    file = tmp_path / "changed.safetensors"
    said = {"bmjax": json.dumps(metadata_of(apart))}
    save_file(entries, file, metadata=said)
    with pytest.raises(CheckpointError, match=rf"{change} 1.*first {first}"):
        read_adapters_onto(backbone[1], backbone[0], file)


def test_a_file_is_either_adapters_or_a_network(apart, backbone):
    file, weights = backbone
    with pytest.raises(CheckpointError, match=r"'.*weights.safetensors' holds no adap"):
        read_adapters_onto(weights, file, file)
    for read in (read_file, check_file):
        with pytest.raises(CheckpointError, match=f"adapters alone.*a whole {NAME}"):
            read(apart, NAME, say=print)
    with pytest.raises(ConfigError, match="is no file"):
        read_adapters_onto(weights, file, file.with_name("nothing"))


def test_a_run_without_adapters_has_none_to_export(backbone, tmp_path, capsys):
    network = {"backbone": backbone[1].params["backbone"]}
    without = {**LORA, "rank": 0}
    run = make_run(tmp_path / "run", {"network": network}, lora=without)
    out = tmp_path / "apart.safetensors"
    assert export([str(run), f"--out={out}", "--adapters"]) == 2
    assert "trained without adapters (config.lora.rank = 0)" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(SystemExit, match="2"):
        export([str(run), f"--out={out}", "--adapters", "--layout=timm"])
