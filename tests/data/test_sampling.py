"""Order: counts, purity, difference between epochs."""

import numpy as np
import pytest

from bmjax.data.sampling import (
    SAMPLINGS,
    balanced_epoch,
    make_stream,
    natural_epoch,
)
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


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_position_depends_on_the_seed_and_itself_alone(sampling):
    straight, backwards = stream_of(sampling), stream_of(sampling)
    places = list(range(0, 150, 7))
    found = [straight[p] for p in places]
    assert found == [backwards[p] for p in reversed(places)][::-1]
    assert found != [stream_of(sampling, seed=1)[p] for p in places]


def test_epochs_and_neighboring_seeds_have_orders_of_their_own():
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


def draws(sampling, epoch, **more):
    stream = make_stream(
        POSITIONS, LABELS, sampling=sampling, per_class=7, seed=0, **more
    )
    length = stream.epoch_length
    return np.array([stream[epoch * length + i] for i in range(length)])


def test_cycling_shows_the_images_of_a_class_equally_often_but_for_one():
    seen = np.concatenate([draws("cycle", epoch) for epoch in range(5)])
    assert len(seen) == 5 * 21
    times = np.bincount(seen - 100, minlength=30)
    for label in range(3):
        of_class = times[label == LABELS]
        assert of_class.sum() == 35
        assert of_class.max() - of_class.min() <= 1


@pytest.mark.parametrize(
    ("sampling", "share"),
    [("sqrt", np.sqrt), ("effective", lambda n: 1 - 0.999**n)],
)
def test_classes_are_drawn_in_proportion_to_their_softened_sizes(sampling, share):
    sizes = np.array([2, 8, 20])
    expected = 30 * share(sizes) / share(sizes).sum()
    drawn = np.bincount(LABELS[draws(sampling, 0) - 100])
    np.testing.assert_allclose(drawn, expected, atol=0.51)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_couples_leave_no_image_alone_in_an_even_batch(sampling):
    order = draws(sampling, 1, couples=True)
    plain = draws(sampling, 1)
    assert set(order) == set(plain)
    assert len(order) - len(plain) == sum(np.bincount(LABELS[plain - 100]) % 2)
    for start in range(0, len(order) - 3, 4):
        batch = LABELS[order[start : start + 4] - 100]
        assert np.bincount(batch)[np.unique(batch)].min() >= 2
    assert order.tolist() != draws(sampling, 2, couples=True).tolist()
