"""A changed program, or one with other outputs, is found by what lies beside it."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import bmjax
from bmjax.export import check_program
from bmjax.export.__main__ import main as export
from bmjax.export.onnx_file import write_onnx
from bmjax.export.stablehlo import write_stablehlo
from tests.helpers.vit_layouts import own_entries

NAME = "dinov2_nano14"
WRITERS = {"onnx": write_onnx, "stablehlo": write_stablehlo}
NEEDS = {"onnx": "onnxruntime", "stablehlo": "flatbuffers"}


def weights(path, shift=0.0):
    entries = {k: np.ascontiguousarray(v) for k, v in own_entries(NAME).items()}
    entries["norm.bias"] = entries["norm.bias"] + np.float32(shift)
    save_file(entries, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("ending", WRITERS)
def test_a_program_is_held_against_its_golden_outputs(
    tmp_path, capsys, monkeypatch, ending
):
    for package in ("onnx", NEEDS[ending]):
        pytest.importorskip(package)
    own, file = weights(tmp_path / "own.safetensors"), tmp_path / f"=p.{ending}"
    WRITERS[ending](file, bmjax.load(own, NAME, batch_size=2, devices=1))
    golden, record = (tmp_path / f"{file.name}.{e}" for e in ("golden.npz", "json"))
    whole, about = golden.read_bytes(), record.read_text()

    def checked(code, said, *run):
        assert export([*map(str, run), f"--check={file}"]) == code
        shown = capsys.readouterr()
        assert said in (shown.err if code else shown.out)
        assert "Traceback" not in shown.err

    checked(0, "outputs of the golden images differ by")
    checked(0, "(features)", own)
    checked(5, "is of the parameters", weights(tmp_path / "o.safetensors", 0.1))

    arrays = dict(np.load(golden))
    for wrong in (arrays["features"] * 1.001, arrays["features"][:, 1:]):
        np.savez(golden, pixels=arrays["pixels"], features=wrong)
        checked(5, "gives other outputs than")
    golden.write_bytes(whole[:100])
    checked(5, "golden.npz' is damaged")
    golden.unlink()
    checked(2, "golden.npz', which is not there")
    golden.write_bytes(whole)

    with monkeypatch.context() as patched:
        patched.setattr(check_program, "find_spec", lambda name: None)
        checked(2, f"pip install {NEEDS[ending]}")
    record.write_text(json.dumps(json.loads(about) | {"program_sha256": None}))
    checked(5, "has no program_sha256")
    record.write_text(about)
    file.write_bytes(file.read_bytes() + b" ")
    checked(5, f"expected {json.loads(about)['program_sha256'][:12]}")


def test_weights_are_not_checked_without_a_run(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        export([f"--check={tmp_path / 'record.json'}"])
    assert end.value.code == 2
    assert "required: RUN" in capsys.readouterr().err
    assert export([f"--check={tmp_path / 'none.onnx'}"]) == 2
    assert "none.onnx', which is not there" in capsys.readouterr().err
