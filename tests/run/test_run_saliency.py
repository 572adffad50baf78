"""A run maps the mistakes that its page shows."""

import numpy as np
import pytest

import bmjax
from bmjax.data.images.folder import read_folder
from bmjax.evals.predictions import confidently_wrong
from bmjax.main import main as train
from bmjax.report.saliency_file import read_saliency


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ("swav:smoke", "class activation"),
        ("dinobloom:smoke,lora", "attention"),
    ],
)
def test_the_most_confident_mistakes_are_mapped(config, kind, tmp_path):
    command = [
        f"--config={config}",
        f"--workdir={tmp_path / 'run'}",
        "--config.saliency.images=5",
        "--config.mesh.devices=1",
    ]
    assert train(command) == 0
    predictions = bmjax.read_predictions(tmp_path / "run" / "predictions.csv")
    found = read_saliency(tmp_path / "run" / "saliency.npz")
    wrong = confidently_wrong(predictions, 5)
    assert set(found.maps) == {predictions.paths[row] for row in wrong}
    assert found.kind == kind
    page = (tmp_path / "run" / "report.html").read_text()
    assert f'<th scope="col">{kind.capitalize()}</th>' in page
    # The loaded network gives the same.
    encoder = bmjax.load(tmp_path / "run", batch_size=8, devices=1)
    (cells,) = (tmp_path / "run").glob("cells*")
    paths = [read_folder(cells).root / path for path in found.maps]
    maps = np.stack(list(found.maps.values()))
    np.testing.assert_allclose(encoder.saliency(paths), maps, atol=1e-4)
