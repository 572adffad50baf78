"""Batches: the same whatever the workers, whole whatever the remainder."""

import itertools
import multiprocessing
import os
import signal
import tracemalloc

import cv2
import numpy as np
import pytest

from bmjax.data.images.decode import read_pixels
from bmjax.data.images.folder import read_folder
from bmjax.data.pipeline import (
    Replaced,
    evaluation_batches,
    next_of_class,
    training_batches,
)
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


def train(catalog, *, threads=1, first_step=0, steps=6, process=0, processes=1, **more):
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
        **more,
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
        assert parts[0][step] + parts[1][step] == whole[step]


def test_processes_together_evaluate_each_image_once(catalog):
    def pixels(process, processes):
        batches = evaluation_batches(
            catalog,
            np.arange(5),
            size=8,
            batch_size=4,
            threads=1,
            prefetch=1,
            process=process,
            processes=processes,
        )
        return [(batch["pixels"], count) for batch, count in batches]

    whole, parts = pixels(0, 1), [pixels(process, 2) for process in range(2)]
    assert [count for _, count in whole] == [4, 1]
    for (expected, count), *both in zip(whole, *parts, strict=True):
        together = np.concatenate([part for part, _ in both])
        np.testing.assert_array_equal(together, expected)
        assert {counted for _, counted in both} == {count}


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_worker_processes_give_the_batches_of_threads_and_resume_alike(catalog):
    whole = shown(train(catalog))
    assert shown(train(catalog, workers=2)) == whole
    assert shown(train(catalog, workers=3, first_step=2, steps=4)) == whole[2:]


@pytest.mark.slow
def test_workers_leave_signals_to_the_run_and_a_killed_one_is_a_sentence(catalog):
    stream = make_stream(
        np.arange(23), catalog.labels, sampling="natural", per_class=0, seed=3
    )
    options = {"size": 12, "batch_size": 4, "first_step": 0, "threads": 1}
    batches = training_batches(catalog, stream, prefetch=2, workers=2, **options)
    expected = shown(train(catalog, steps=22))
    # One of each, so that both have come up.
    assert shown(itertools.islice(batches, 2)) == expected[:2]
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for number in (signal.SIGTERM, signal.SIGINT):
        for worker in workers:
            os.kill(worker.pid, number)
    assert shown(itertools.islice(batches, 20)) == expected[2:]
    workers[0].kill()
    with pytest.raises(DataError, match=r"worker process .* config\.data\.workers"):
        list(itertools.islice(batches, 1000))
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()


def test_the_next_of_a_class_is_a_ring_of_training_images():
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    ring = next_of_class(np.array([0, 2, 4, 5, 6]), labels)
    assert ring.tolist() == [2, -1, 0, -1, 5, 6, 4]


@pytest.fixture
def broken(tmp_path):
    """Eight images of two classes; numbers 1 and 2, neighbors, cannot be read."""
    for number in range(8):
        folder = tmp_path / ("AAA" if number < 4 else "BBB")
        folder.mkdir(exist_ok=True)
        path = folder / f"{number:05d}.png"
        if number in (1, 2):
            path.write_bytes(b"no image")
        else:
            cv2.imwrite(str(path), np.full((12, 12, 3), number, np.uint8))
    return read_folder(tmp_path)


def replaced_batches(catalog, *, limit, steps=4, threads=2, say=lambda text: None):
    everything = np.arange(len(catalog))
    stream = make_stream(
        everything, catalog.labels, sampling="natural", per_class=0, seed=0
    )
    replaced = Replaced(limit=limit, say=say)
    batches = training_batches(
        catalog,
        stream,
        size=12,
        batch_size=4,
        first_step=0,
        threads=threads,
        prefetch=2,
        stand_ins=next_of_class(everything, catalog.labels),
        replaced=replaced,
    )
    return list(itertools.islice(batches, steps)), replaced


def test_an_unreadable_image_is_replaced_by_the_next_of_its_class_and_counted(broken):
    said = []
    batches, replaced = replaced_batches(broken, limit=2, say=said.append)
    seen = np.concatenate([batch["pixels"][:, 0, 0, 0] for batch in batches])
    # Two epochs: 1 and 2 were shown as 3, with its own class.
    assert sorted(seen.tolist()) == sorted(2 * [0, 3, 3, 3, 4, 5, 6, 7])
    for batch in batches:
        expected = (batch["pixels"][:, 0, 0, 0] >= 4).astype(np.int32)
        np.testing.assert_array_equal(batch["labels"], expected)
        assert set(batch) == {"pixels", "labels"}
    assert replaced.positions == {1, 2}
    assert len(said) == 2
    assert all("another of its class" in text for text in said)
    again, _ = replaced_batches(broken, limit=2, threads=1)
    assert shown(again) == shown(batches)


def test_too_many_unreadable_images_stop_with_the_name_and_the_cure(broken):
    with pytest.raises(DataError, match=r"0000[12]\.png.*bad_share allows 1.*verify"):
        replaced_batches(broken, limit=1)


def test_a_class_without_any_readable_image_names_one(tmp_path):
    (tmp_path / "AAA").mkdir()
    for number in range(3):
        (tmp_path / "AAA" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"[012]\.png.*no readable"):
        replaced_batches(read_folder(tmp_path), limit=9)


def test_no_test_image_is_ever_replaced(broken):
    train = np.array([0, 3, 4, 5, 6, 7])
    ring = next_of_class(train, broken.labels)
    options = {"size": 12, "batch_size": 2, "threads": 1, "prefetch": 2}
    with pytest.raises(DataError, match=r"00001\.png"):
        list(evaluation_batches(broken, np.array([0, 1]), stand_ins=ring, **options))


def test_a_replaced_image_is_named_with_what_it_is(broken):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0"
    (broken.root / "AAA" / "00001.png").write_bytes(pointer)
    said = []
    replaced_batches(broken, limit=2, say=said.append)
    assert sum("a Git LFS pointer" in text for text in said) == 1
    with pytest.raises(DataError, match="bad_share allows 0"):
        replaced_batches(broken, limit=0)
