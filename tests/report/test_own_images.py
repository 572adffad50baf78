"""A page shows pictures of the run's own images alone, whatever its files say."""

import json

import cv2
import numpy as np
import pytest

from bmjax.data.images.listing import list_images
from bmjax.data.open_images import read_catalog
from bmjax.report.__main__ import main
from bmjax.report.saliency_file import SALIENCY_FILE, write_saliency
from tests.helpers.report_pages import make_run, write_predictions

CLASSES = ["A", "B"]


def _fill(folder, side):
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((side, side, 3), 40 * number, np.uint8)
            cv2.imwrite(str(folder / name / f"{number}.png"), pixels)
    return read_catalog(folder).fingerprint


@pytest.fixture
def reported(tmp_path, capsys):
    """Report a run whose images are said to lie in a folder; give page and notes."""

    def reported(root, fingerprint, *more, drawn=False):
        run = tmp_path / "run"
        if not run.is_dir():
            make_run(run)
        rows = [
            (f"{name}/{number}.png", name, CLASSES[number % 2])
            for name in CLASSES
            for number in range(3)
        ]
        write_predictions(run / "predictions.csv", rows, CLASSES)
        results = json.loads((run / "results.json").read_text())
        results |= {"data_fingerprint": fingerprint, "n_train": 0, "n_test": 6}
        (run / "results.json").write_text(json.dumps(results))
        data = {"root": "" if drawn else str(root), "synthetic_images": 6}
        (run / "config.json").write_text(json.dumps({"seed": 0, "data": data}))
        maps = np.ones((len(rows), 2, 2), np.float32)
        paths = [path for path, _, _ in rows]
        write_saliency(run / SALIENCY_FILE, paths, maps, "attention")
        assert main([str(run), *more]) == 0
        return (run / "report.html").read_text(), capsys.readouterr().err

    return reported


def test_the_images_of_the_run_are_shown(tmp_path, reported):
    fingerprint = _fill(tmp_path / "cells", 20)
    page, said = reported(tmp_path / "cells", fingerprint)
    assert "data:image/jpeg" in page
    assert said == ""


def test_a_folder_of_the_readers_disk_is_not_shown_unless_the_reader_gives_it(
    tmp_path, reported
):
    fingerprint = _fill(tmp_path / "theirs", 20)
    _fill(tmp_path / "mine", 30)
    page, said = reported(tmp_path / "mine", fingerprint)
    assert "data:image" not in page
    assert said.startswith("note: run: no pictures of cells from")
    assert "give their folder with --images" in said
    page, said = reported(
        tmp_path / "mine", fingerprint, f"--images={tmp_path / 'theirs'}"
    )
    assert "data:image/jpeg" in page


def test_links_in_the_cells_of_a_run_lead_to_nothing_of_the_readers(tmp_path, reported):
    fingerprint = _fill(tmp_path / "mine", 20)
    run = make_run(tmp_path / "run")
    (run / "cells-6-0").symlink_to(tmp_path / "mine")
    page, _ = reported(None, fingerprint, drawn=True)
    assert "data:image" not in page
    (run / "cells-6-0").unlink()
    for name in CLASSES:
        (run / "cells-6-0" / name).mkdir(parents=True)
        for number in range(3):
            link = run / "cells-6-0" / name / f"{number}.png"
            link.symlink_to(tmp_path / "mine" / name / f"{number}.png")
    page, _ = reported(None, fingerprint, drawn=True)
    assert "data:image" not in page


def test_a_whole_disk_is_not_looked_through(tmp_path):
    _fill(tmp_path, 8)
    assert len(list_images(tmp_path, most=8).images) == 6
    with pytest.raises(OSError, match="holds more than 7 entries"):
        list_images(tmp_path, most=7)
