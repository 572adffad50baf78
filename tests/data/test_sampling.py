"""Order: counts, purity, difference between epochs."""

import numpy as np
import pytest

from bmjax.data.sampling import balanced_epoch, make_stream, natural_epoch
from bmjax.errors import ConfigError

POSITIONS = np.arange(100, 130)
LABELS = np.repeat([0, 1, 2], [2, 8, 20])


def stream_of(sampling, seed=0):
    return make_stream(POSITIONS, LABELS, sampling=sampling, per_class=7, seed=seed)


def test_natural_order_shows_each_image_once_an_epoch():
    stream = stream_of("natural")
    for epoch in range(3):
        seen = [stream[epoch * 30 + i] for i in range(30)]
        np.testing.assert_array_equal(np.sort(seen), POSITIONS)


def test_balanced_order_draws_each_class_equally_often():
    drawn = balanced_epoch(POSITIONS, LABELS, per_class=7, seed=0, epoch=0)
    np.testing.assert_array_equal(np.bincount(LABELS[drawn - 100]), [7, 7, 7])
    assert stream_of("balanced").epoch_length == 21


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_a_position_depends_on_the_seed_and_itself_alone(sampling):
    straight, backwards = stream_of(sampling), stream_of(sampling)
    places = list(range(0, 150, 7))
    found = [straight[p] for p in places]
    assert found == [backwards[p] for p in reversed(places)][::-1]
    assert found != [stream_of(sampling, seed=1)[p] for p in places]


def test_epochs_and_neighbouring_seeds_have_orders_of_their_own():
    orders = [
        tuple(natural_epoch(POSITIONS, seed=seed, epoch=epoch))
        for seed in range(3)
        for epoch in range(3)
    ]
    assert len(set(orders)) == 9


def test_an_unknown_sampling_is_refused():
    with pytest.raises(ConfigError, match=r"config.data.sampling = 'odd'.*natural"):
        stream_of("odd")


def test_positions_are_plain_numbers_that_a_worker_can_receive():
    assert type(stream_of("natural")[3]) is int
