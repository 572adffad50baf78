"""The example script and the notebook run, on a small run made here."""

import json
import runpy
from pathlib import Path

import pytest

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
