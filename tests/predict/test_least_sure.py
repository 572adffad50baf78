"""The least sure cells are kept, in their order, whatever order they come in."""

import numpy as np
import pytest

from bmjax.encoder import Encoder
from bmjax.predict.least_sure import LeastSure
from bmjax.report.saliency_file import heat


class OfNoNetwork(Encoder):
    """Maps an image to its own gray values."""

    saliency_kind, classes, description = "attention", ("A", "B"), "a network"

    def saliency(self, images):
        self.shown = images
        return images.mean(axis=-1)


@pytest.mark.parametrize("limit", [1, 3, 20])
def test_the_least_sure_come_first(tmp_path, limit):
    random = np.random.Generator(np.random.Philox(0))
    sure = random.permutation(np.r_[np.linspace(0.5, 1, 8), 0.75, 0.75])
    kept = LeastSure(limit)
    pixels = np.zeros((4, 4, 3), np.uint8)
    for position, value in enumerate(sure):
        pixels[:] = position  # the same array again, as a reader's may be
        kept.add(position, f"{position}.png", pixels, np.array([value, 1 - value]))
    encoder = OfNoNetwork("none")
    kept.write(tmp_path / "page.html", encoder, len(sure))
    expected = sorted(range(len(sure)), key=lambda i: (sure[i], i))[:limit]
    assert encoder.shown[:, 0, 0, 0].tolist() == expected
    page = (tmp_path / "page.html").read_text()
    places = [page.index(f">{position}.png<") for position in expected]
    assert places == sorted(places)
    assert page.count('<figure class="explained">') == len(expected)


def test_heat_follows_the_map_and_shows_nothing_below_zero():
    gray = np.full((8, 8, 3), 100, np.uint8)
    values = np.array([[0.0, 2.0], [-5.0, 0.0]])
    shown = heat(gray, values).astype(int)
    assert shown.shape == (8, 8, 3)
    assert (shown[0, 0] == shown[-1, 0]).all()  # what is against is as nothing
    assert shown[0, -1, 0] > shown[0, 0, 0] + 50  # yellow has more red
    np.testing.assert_array_equal(heat(gray, 7 * values), heat(gray, values))
    assert (heat(gray, np.zeros((2, 2))) == heat(gray, -np.ones((2, 2)))).all()
