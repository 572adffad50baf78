"""The cells of a case: which case they are, and what is read of each."""

import numpy as np
import pytest

from bmjax.count.case_cells import read_cells
from bmjax.data.images.read_batches import read_batches
from bmjax.data.open_images import open_any_images
from bmjax.encoder import Encoder
from bmjax.evals.calibration_file import Calibration
from tests.helpers.drawn_files import image

EVEN = np.full(2, 0.5)
CALIBRATION = Calibration(
    np.zeros((0, 2), np.float32), np.zeros(0, int), ("A", "B"), EVEN, EVEN, 1.0, "", ""
)


class FakeEncoder(Encoder):
    """Names every cell alike."""

    def __init__(self):
        pass

    def apply(self, images, *, complain, progress):
        for batch in read_batches(
            images.paths, images.encoded, size=8, resize="area", batch_size=4, threads=2
        ):
            yield batch, {}

    def probabilities(self, outputs):
        return np.full((4, 2), [0.75, 0.25], np.float32)


def cells_of(folder, **images):
    for name, shade in images.items():
        folder.mkdir(exist_ok=True)
        pixels = np.full((8, 8, 3), shade, np.uint8)
        (folder / f"{name}.png").write_bytes(image(pixels, "RGB", "PNG"))
    opened = open_any_images(folder)
    return read_cells(
        opened,
        FakeEncoder(),
        CALIBRATION,
        None,
        complain=pytest.fail,
        progress=lambda *_: None,
    )


def test_a_case_is_its_cells_and_not_their_names_alone(tmp_path):
    """Every case of a lab may have cells 1 to 500: another's corrections do not fit."""
    one = cells_of(tmp_path / "one", **{"1": 10, "2": 20, "3": 30})
    same = cells_of(tmp_path / "same", **{"3": 30, "2": 20, "1": 10})
    other = cells_of(tmp_path / "other", **{"1": 10, "2": 30, "3": 20})
    renamed = cells_of(tmp_path / "renamed", **{"1": 10, "2": 20, "4": 30})
    assert one.digest == same.digest
    assert len({one.digest, other.digest, renamed.digest}) == 3
    # A spreadsheet would round a digest that is a number.
    assert not one.digest[0].isdigit()


def test_copies_are_told(tmp_path):
    assert cells_of(tmp_path / "a", **{"1": 10, "2": 20}).copies == 0
    assert cells_of(tmp_path / "b", **{"1": 10, "2": 20, "3": 10, "4": 10}).copies == 2
