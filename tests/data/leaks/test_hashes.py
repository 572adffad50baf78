"""What is kept of every image."""

import cv2
import numpy as np
import pytest

from bmjax.data.images.folder import read_folder
from bmjax.data.leaks.hashes import hash_images, read_hashes, write_hashes
from bmjax.errors import DataError


@pytest.fixture
def tree(tmp_path):
    """Two files of the same pixels, one of others, and one that is no image."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (40, 30, 3)).astype(np.uint8)
    folder = tmp_path / "cells" / "BLA"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "1.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    cv2.imwrite(str(folder / "2.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    cv2.imwrite(str(folder / "3.png"), pixels[::-1])
    (folder / "4.jpg").write_bytes(b"no image")
    (folder / "5.jpg").write_bytes(b"")
    return read_folder(tmp_path / "cells")


def test_digests_tell_files_from_pixels(tree):
    hashes = hash_images(tree, threads=2)
    assert hashes.readable.tolist() == [True, True, True, False, False]
    assert not np.array_equal(hashes.files[0], hashes.files[1])
    np.testing.assert_array_equal(hashes.pixels[0], hashes.pixels[1])
    assert not np.array_equal(hashes.pixels[0], hashes.pixels[2])
    difference = hashes.thumbnails[0][::-1].astype(int) - hashes.thumbnails[2]
    assert np.abs(difference).max() <= 1


def test_progress_ends_at_the_number_of_images(tree):
    seen = []
    hash_images(tree, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 5)
    assert seen[-1] == (5, 5)


def test_hashes_are_kept_for_their_images_alone(tree, tmp_path):
    path = tmp_path / "hashes.npz"
    assert read_hashes(path, tree.fingerprint) is None
    hashes = hash_images(tree)
    write_hashes(path, hashes, tree.fingerprint)
    for kept, made in zip(read_hashes(path, tree.fingerprint), hashes, strict=True):
        np.testing.assert_array_equal(kept, made)
    assert read_hashes(path, "another") is None


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 cut short"])
def test_a_file_that_holds_no_hashes_is_named(tmp_path, content):
    path = tmp_path / "hashes.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"hashes.npz' is no file of hashes"):
        read_hashes(path, "any")
