"""A file of another network's is refused before anything is compiled."""

import numpy as np
import pytest
from safetensors.numpy import save_file

import bmjax.run.start
from bmjax.main import main
from tests.helpers.vit_layouts import hugging_face, own_entries


@pytest.mark.parametrize("kind", ["other_registers", "other_family"])
def test_a_misfit_is_refused_before_anything_is_compiled(
    kind, tmp_path, monkeypatch, capsys
):
    def compiled(*arguments):
        raise AssertionError("compiled")

    monkeypatch.setattr(bmjax.run.start, "init_state", compiled)
    entries = own_entries("dinov2_nano14_reg")
    if kind == "other_registers":
        entries["register_tokens"] = np.ones((1, 5, 16), np.float32)
    save_file(
        {k: np.ascontiguousarray(v) for k, v in hugging_face(entries).items()},
        tmp_path / "weights.safetensors",
    )
    network = "dinov2_nano14_reg" if kind == "other_registers" else "resnet_tiny"
    command = [
        "--config=supervised:smoke",
        f"--workdir={tmp_path / 'run'}",
        "--config.data.synthetic_images=230",
        "--config.data.size=28",
        "--config.mesh.devices=1",
        f"--config.model.name={network}",
        f"--config.init_from={tmp_path / 'weights.safetensors'}",
    ]
    assert main(command) == 5
    output = capsys.readouterr()
    if kind == "other_registers":
        assert "5 registers, expected 4 registers" in output.err
        assert "names: Hugging Face's" in output.out  # the table
    else:
        assert "config.model.name=dinov2_nano14_reg" in output.err
    assert "Traceback" not in output.err
