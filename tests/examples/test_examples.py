"""The example script and the notebook run, on a small run made here."""

import json
import runpy
from pathlib import Path

import pytest

import bmjax
from bmjax.export.__main__ import main as export
from tests.helpers.small_run import small_run

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("run"), "supervised")


def test_the_script_fits_a_classifier_on_features(trained, capsys):
    script = runpy.run_path(str(EXAMPLES / "embed_and_classify.py"))
    script["main"](str(trained.workdir), str(trained.cells))
    assert "macro avg" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ending", "needs"), [("onnx", "onnxruntime"), ("stablehlo", "flatbuffers")]
)
def test_a_program_names_cells_as_its_run_does(
    trained, tmp_path, capsys, ending, needs
):
    pytest.importorskip(needs)
    pytest.importorskip("onnx" if ending == "onnx" else needs)
    out = tmp_path / f"network.{ending}"
    assert export([str(trained.workdir), f"--out={out}"]) == 0
    images = sorted(map(str, trained.cells.glob("*/*.*")))[::20]
    encoder = bmjax.load(trained.workdir, batch_size=16, devices=1)
    expected = encoder.predict(images)
    capsys.readouterr()
    runpy.run_path(str(EXAMPLES / "serve_program.py"))["main"](str(out), *images)
    lines = [line.split(" ", 2) for line in capsys.readouterr().out.splitlines()]
    assert [line[2] for line in lines] == images
    for (name, probability, _), row in zip(lines, expected, strict=True):
        assert name == encoder.classes[row.argmax()]
        assert float(probability) == pytest.approx(float(row.max()), abs=2e-4)


def test_the_notebooks_cells_run_in_order(trained, monkeypatch):
    monkeypatch.setenv("BMJAX_RUN", str(trained.workdir))
    monkeypatch.setenv("BMJAX_CELLS", str(trained.cells))
    names = {}
    for cell in json.loads((EXAMPLES / "cells.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            exec("".join(cell["source"]), names)
    assert len(names["features"]) == len(names["paths"])
    assert len(names["nearest"]) == 5
