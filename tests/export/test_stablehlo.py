"""An exported program gives the encoder's outputs, for any number of images."""

import json

import jax
import numpy as np
import pytest
from jax import export as jax_export
from safetensors.numpy import save_file

import bmjax
from bmjax.export.stablehlo import write_stablehlo
from tests.helpers.vit_layouts import own_entries


def test_a_program_gives_the_features_of_its_encoder(tmp_path):
    pytest.importorskip("flatbuffers")
    path, out = tmp_path / "own.safetensors", tmp_path / "own.stablehlo"
    entries = own_entries("dinov2_nano14")
    save_file({k: np.ascontiguousarray(v) for k, v in entries.items()}, path)
    encoder = bmjax.load(path, "dinov2_nano14", batch_size=2, devices=1)
    write_stablehlo(out, encoder)
    program = jax_export.deserialize(bytearray(out.read_bytes()))
    golden = np.load(tmp_path / "own.stablehlo.golden.npz")
    about = json.loads((tmp_path / "own.stablehlo.json").read_text())
    assert about["sha256"] == encoder.digest
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    pixels = np.concatenate([golden["pixels"]] * 2)[:3]
    given = jax.device_get(program.call(pixels))
    expected = encoder.features(pixels)
    np.testing.assert_allclose(given["features"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(golden["features"], expected[:2], rtol=1e-5, atol=1e-5)
