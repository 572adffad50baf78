"""Images far from their weights' moments are told apart from those that are not."""

import cv2
import numpy as np
import pytest

from bmjax.data.far_moments import far_moments_note
from bmjax.errors import DataError

MEAN, STD = (0.5, 0.45, 0.4), (0.2, 0.25, 0.22)


def images_of(mean, std, *, count=30, size=12):
    """Encoded images whose channels have these moments, each image its own size."""
    drawn = np.random.default_rng(0)
    found = []
    for number in range(count):
        side = size + number % 3
        values = drawn.uniform(-1, 1, (side, side, 3)) * np.sqrt(3) * np.array(std)
        pixels = np.clip((np.array(mean) + values) * 255, 0, 255).astype(np.uint8)
        found.append(cv2.imencode(".png", pixels[..., ::-1])[1].reshape(-1))
    return found


def note_on(images, **changed):
    moments = {"mean": MEAN, "std": STD, **changed}
    return far_moments_note(images.__getitem__, range(len(images)), **moments)


def test_images_like_those_of_the_weights_are_not_noted():
    assert not note_on(images_of(MEAN, STD))
    # A third of a deviation, and a factor of 1.2.
    assert not note_on(images_of((0.57, 0.45, 0.33), (0.24, 0.21, 0.22)))


@pytest.mark.parametrize("channel", range(3))
def test_one_channel_of_another_mean_is_noted_with_both_values(channel):
    mean = list(MEAN)
    mean[channel] += 0.7 * STD[channel]
    std = [0.8 * value for value in STD]  # no value beyond white
    note = note_on(images_of(mean, std))
    assert "(30 of 30 images), far from (0.500, 0.450, 0.400)" in note
    shown = note.split("mean (")[1].split(")")[0]
    found = [float(text) for text in shown.split(", ")]
    np.testing.assert_allclose(found, mean, atol=0.02)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_deviation_is_noted_either_way(factor):
    small = (0.1, 0.1, 0.1)
    deviations = tuple(factor * value for value in small)
    assert note_on(images_of(MEAN, small), std=deviations)
    assert not note_on(images_of(MEAN, small), std=small)


def test_a_channel_without_any_deviation_is_noted():
    assert note_on(images_of(MEAN, (0.2, 0.25, 0.0)))


def test_few_images_are_no_set():
    far = images_of((0.9, 0.9, 0.9), (0.05, 0.05, 0.05))
    assert note_on(far[:20])
    assert not note_on(far[:19])
    assert not note_on([])


def test_those_that_cannot_be_read_are_passed_over():
    far = images_of((0.9, 0.9, 0.9), (0.05, 0.05, 0.05))
    broken = np.zeros(3, np.uint8)
    assert "(24 of 30 images)" in note_on([*far[:12], *[broken] * 6, *far[18:]])
    assert not note_on([*far[:10], *[broken] * 20])

    def missing(position):
        raise DataError("gone")

    assert not far_moments_note(missing, range(50), mean=MEAN, std=STD)


def test_at_most_200_are_read_evenly_and_the_same_whatever_the_threads():
    (image,) = images_of((0.9, 0.9, 0.9), (0.05, 0.05, 0.05), count=1)
    read = []

    def encoded(position):
        read.append(position)
        return image

    positions = np.arange(10, 5010)
    notes = [
        far_moments_note(encoded, positions, mean=MEAN, std=STD, threads=threads)
        for threads in (1, 3)
    ]
    assert notes[0] == notes[1]
    assert "(200 of 5,000 images)" in notes[0]
    once, again = sorted(read[:200]), sorted(read[200:])
    assert once == again
    assert once[0] == 10
    assert once[-1] == 5009
    gaps = np.diff(once)
    assert gaps.max() - gaps.min() <= 1
