"""Batches: the same whatever the workers, whole whatever the remainder."""

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest

from bmjax.data.decode import read_pixels
from bmjax.data.folder import read_folder
from bmjax.data.pipeline import evaluation_batches, training_batches
from bmjax.data.sampling import make_stream
from bmjax.errors import DataError


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    root = tmp_path_factory.mktemp("cells")
    for number in range(23):
        folder = root / ("AAA" if number < 9 else "BBB")
        folder.mkdir(exist_ok=True)
        pixels = np.full((12, 12, 3), number, np.uint8)
        assert cv2.imwrite(str(folder / f"{number:05d}.png"), pixels)
    return read_folder(root)


def train(catalog, *, threads=1, first_step=0, steps=6, process=0, processes=1):
    stream = make_stream(
        np.arange(23), catalog.labels, sampling="natural", per_class=0, seed=3
    )
    batches = training_batches(
        catalog,
        stream,
        size=12,
        batch_size=4,
        first_step=first_step,
        threads=threads,
        prefetch=2,
        process=process,
        processes=processes,
    )
    return list(itertools.islice(batches, steps))


def shown(batches):
    """Which images: each is filled with its own number."""
    return [batch["pixels"][:, 0, 0, 0].tolist() for batch in batches]


def test_batches_do_not_depend_on_the_number_of_threads(catalog):
    assert shown(train(catalog, threads=1)) == shown(train(catalog, threads=5))


def test_a_resumed_stream_goes_on_where_it_stopped(catalog):
    assert shown(train(catalog, first_step=2, steps=4)) == shown(train(catalog))[2:]


def test_processes_together_give_the_batch_of_one(catalog):
    whole = shown(train(catalog, steps=3))
    parts = [shown(train(catalog, steps=3, process=p, processes=2)) for p in range(2)]
    for step in range(3):
        assert sorted(parts[0][step] + parts[1][step]) == sorted(whole[step])


def test_labels_belong_to_their_images(catalog):
    for batch in train(catalog):
        expected = (batch["pixels"][:, 0, 0, 0] >= 9).astype(np.int32)
        np.testing.assert_array_equal(batch["labels"], expected)


def test_evaluation_shows_each_image_once_in_order_and_fills_the_last_batch(catalog):
    seen = []
    for batch, count in evaluation_batches(
        catalog, np.arange(23), size=12, batch_size=8, threads=2, prefetch=2
    ):
        assert batch["pixels"].shape == (8, 12, 12, 3)
        seen += batch["pixels"][:count, 0, 0, 0].tolist()
    assert seen == list(range(23))


def test_memory_does_not_grow_with_the_number_of_batches(catalog):
    def peak(steps):
        tracemalloc.start()
        stream = make_stream(
            np.arange(23), catalog.labels, sampling="natural", per_class=0, seed=3
        )
        batches = training_batches(
            catalog, stream, size=64, batch_size=8, first_step=0, threads=2, prefetch=2
        )
        for _ in itertools.islice(batches, steps):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    # A batch is 98 kB: forty more of them would be 4 MB.
    assert peak(60) - peak(20) < 1_000_000


def test_images_of_any_size_and_kind_become_rgb_of_one_size(tmp_path):
    for name, shape in {"gray.png": (30, 20), "alpha.png": (9, 9, 4)}.items():
        assert cv2.imwrite(str(tmp_path / name), np.full(shape, 77, np.uint8))
        pixels = read_pixels(tmp_path / name, size=16)
        assert pixels.shape == (16, 16, 3)
        assert pixels.dtype == np.uint8
        assert (pixels == 77).all()


def test_channels_come_in_the_order_red_green_blue(tmp_path):
    blue_green_red = np.zeros((8, 8, 3), np.uint8)
    blue_green_red[..., 2] = 200
    assert cv2.imwrite(str(tmp_path / "red.png"), blue_green_red)
    assert read_pixels(tmp_path / "red.png", size=8)[0, 0].tolist() == [200, 0, 0]


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"this is no image")
    for name in ("empty.jpg", "text.jpg", "absent.jpg"):
        with pytest.raises(DataError, match=name):
            read_pixels(tmp_path / name, size=8)
