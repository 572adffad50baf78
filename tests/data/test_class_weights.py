"""Class weights."""

import numpy as np
import pytest

from bmjax.data.class_weights import class_weights
from bmjax.errors import ConfigError

COUNTS = {"ABE": 4, "LYT": 100, "NGS": 400}


def test_schemes_are_their_formulas_up_to_scale():
    sizes = np.array([4, 100, 400])
    for scheme, expected in (
        ("inverse", 1 / sizes),
        ("sqrt", 1 / np.sqrt(sizes)),
        ("effective", 1 / (1 - 0.999**sizes)),
        ("effective:0.99", 1 / (1 - 0.99**sizes)),
        ("effective:0", np.ones(3)),
    ):
        found = class_weights(COUNTS, scheme)
        np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-5)
        assert found.mean() == pytest.approx(1)
    assert class_weights(COUNTS, "none") is None


def test_given_weights_are_taken_as_they_are():
    np.testing.assert_array_equal(
        class_weights(COUNTS, "NGS:0.5, ABE:10"), np.float32([10, 1, 0.5])
    )


@pytest.mark.parametrize(
    "scheme",
    [
        "invers",
        "ABC:2",
        "ABE:0",
        "ABE:x",
        "ABE:nan",
        "effective:1",
        "effective:x",
        "effective:0.9,ABE:2",
    ],
)
def test_what_cannot_be_is_refused_with_the_key(scheme):
    with pytest.raises(ConfigError, match=r"config\.method\.class_weights"):
        class_weights(COUNTS, scheme)
