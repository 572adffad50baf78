"""Weights that were changed, or give other features, are found by a record of them."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from bmjax.export.__main__ import main as export
from bmjax.export.same_weights import reference_image
from tests.helpers.vit_layouts import hugging_face, own_entries

NAME = "dinov2_nano14"


def write(path, entries):
    save_file({k: np.ascontiguousarray(v) for k, v in entries.items()}, path)
    return str(path)


def test_the_reference_image_is_its_formula():
    image = reference_image(20)
    assert image.dtype == np.uint8
    assert image.shape == (20, 20, 3)
    assert image[19, 18, 2] == (3 * 19 + 5 * 18 + 160 + 19 * 18) % 256


def test_a_record_is_written_then_compared(tmp_path, capsys):
    entries, record = own_entries(NAME), tmp_path / "weights.json"
    own = write(tmp_path / "own.safetensors", entries)
    assert export([own, f"--check={record}"]) == 0
    assert "written, SHA-256" in capsys.readouterr().out
    whole = record.read_text()
    # The same network by another program.
    other = write(tmp_path / "other.safetensors", hugging_face(entries))
    assert export([other, f"--check={record}"]) == 0
    assert "as in" in capsys.readouterr().out

    changed = {**entries, "norm.bias": entries["norm.bias"] + 0.01}
    changed = write(tmp_path / "changed.safetensors", changed)
    assert export([changed, f"--check={record}"]) == 5
    assert "other parameters" in capsys.readouterr().err

    told = json.loads(whole)
    told["features"][0] += 0.1
    record.write_text(json.dumps(told))
    assert export([own, f"--check={record}"]) == 5
    assert "gives other features of the reference image" in capsys.readouterr().err

    record.write_text("{}")
    assert export([own, f"--check={record}"]) == 2
    assert "is no record of weights" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export([own])
