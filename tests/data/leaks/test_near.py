"""Candidates and their confirmation, on thumbnails made up."""

import cv2
import numpy as np
import pytest

from bmjax.data.leaks.align import SIMILAR, similarities, similarity
from bmjax.data.leaks.hashes import thumbnail
from bmjax.data.leaks.near import (
    Pairs,
    describe_thumbnails,
    search,
    turn,
    turn_descriptors,
)


@pytest.fixture(scope="module")
def thumbnails():
    """Smooth images without any symmetry."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (300, 7, 7, 3)).astype(np.uint8)
    large = [cv2.resize(c, (32, 32), interpolation=cv2.INTER_CUBIC) for c in coarse]
    return np.stack(large)


def all_pairs(found):
    return Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))


@pytest.mark.parametrize("symmetry", range(8))
def test_a_turned_image_has_the_turned_descriptor(thumbnails, symmetry):
    turned = describe_thumbnails(np.ascontiguousarray(turn(thumbnails, symmetry)))
    expected = turn_descriptors(describe_thumbnails(thumbnails))[symmetry]
    # Principal components have no sign of their own, and these are of the same images.
    np.testing.assert_allclose(np.abs(np.sum(turned * expected, axis=1)), 1, atol=1e-4)


def test_the_eight_symmetries_are_a_group(thumbnails):
    image = thumbnails[0]
    eight = {turn(image, symmetry).tobytes() for symmetry in range(8)}
    assert len(eight) == 8
    for first in range(8):
        for second in range(8):
            assert turn(turn(image, first), second).tobytes() in eight


def test_search_finds_what_a_search_of_everything_finds(thumbnails):
    descriptors = describe_thumbnails(thumbnails)
    every = np.stack(
        [turned @ descriptors.T for turned in turn_descriptors(descriptors)]
    )
    threshold = float(np.quantile(every, 0.999))
    best = np.triu(every.max(axis=0), 1)
    found = all_pairs(search(descriptors, threshold=threshold, threads=2))
    expected = set(zip(*np.nonzero(best >= threshold), strict=True))
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) > 20
    assert set(pairs) == expected
    np.testing.assert_allclose(found.cosine, best[found.first, found.second], atol=1e-5)


def test_planted_pairs_and_nothing_else_are_found_among_generated_hashes():
    random = np.random.default_rng(1)
    hashes = random.standard_normal((5000, 50)).astype(np.float32)
    planted = random.permutation(5000)[:80].reshape(40, 2)
    for number, (first, second) in enumerate(planted):
        turned = turn_descriptors(hashes[first : first + 1])[number % 8][0]
        hashes[second] = turned + 0.2 * random.standard_normal(50)
    hashes /= np.linalg.norm(hashes, axis=1, keepdims=True)
    found = all_pairs(search(hashes, threshold=0.85))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == {(int(min(pair)), int(max(pair))) for pair in planted}


def test_of_one_image_the_fifty_most_alike_are_kept():
    same = np.tile(np.eye(50, dtype=np.float32)[3], (200, 1))
    found = all_pairs(search(same))
    assert np.bincount(found.first).max() == 50


@pytest.fixture(scope="module")
def images():
    """Smooth images of another size, and their crops by 5 %."""
    random = np.random.default_rng(2)
    coarse = random.integers(0, 255, (20, 6, 6, 3)).astype(np.uint8)
    whole = [cv2.resize(c, (240, 240), interpolation=cv2.INTER_CUBIC) for c in coarse]
    return (
        np.stack([thumbnail(image) for image in whole]),
        np.stack([thumbnail(image[12:, :228]) for image in whole]),
    )


def test_a_copy_agrees_whatever_was_done_to_it(images):
    for image, cropped in zip(*images, strict=True):
        assert similarity(image, image) == pytest.approx(1, abs=1e-4)
        assert similarity(image, (image * 0.9).astype(np.uint8)) > SIMILAR
        assert similarity(image, cropped) > SIMILAR
        assert similarity(cropped, image) > SIMILAR


def test_other_images_do_not_agree(thumbnails):
    found = similarities(thumbnails[:150], thumbnails[150:])
    assert found.max() < 0.9


def test_many_at_once_are_as_one_by_one_where_it_counts(images, thumbnails):
    first = np.concatenate([images[0], images[0]])
    second = np.concatenate([thumbnails[:20], images[1]])
    alone = np.array([similarity(*pair) for pair in zip(first, second, strict=True)])
    found = similarities(first, second)
    np.testing.assert_array_equal(found >= SIMILAR, alone >= SIMILAR)
    np.testing.assert_array_equal(found[20:], alone[20:])


def test_flat_images_are_no_copies_of_one_another():
    flat = np.full((32, 32, 3), 200, np.uint8)
    assert similarity(flat, flat + 10) < 0.5
    assert np.isfinite(describe_thumbnails(np.stack([flat, flat + 10]))).all()
