"""One door: a prepared set is the folder it was made from, or it is refused."""

import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bmjax.data.open_images import read_catalog
from bmjax.data.pipeline import Replaced
from bmjax.data.prepared.read import INDEX
from bmjax.errors import DataError
from tests.helpers.small_trees import prepare_in_shards, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree") / "cells")


@pytest.fixture(scope="module")
def prepared(tree, tmp_path_factory):
    return prepare_in_shards(tree, tmp_path_factory.mktemp("out") / "set")


@pytest.fixture
def damaged(prepared, tmp_path):
    """A copy of the set, for tests that break it."""
    return Path(shutil.copytree(prepared, tmp_path / "set"))


def test_the_set_is_the_folder_in_order_labels_bytes_and_fingerprint(tree, prepared):
    folder, stored = read_catalog(tree), read_catalog(prepared)
    assert stored.paths == folder.paths
    assert stored.classes == folder.classes
    assert stored.fingerprint == folder.fingerprint
    np.testing.assert_array_equal(stored.labels, folder.labels)
    assert stored.labels.dtype == folder.labels.dtype
    for position in range(len(folder)):
        np.testing.assert_array_equal(
            stored.encoded(position), folder.encoded(position)
        )


def test_leaving_a_class_out_is_the_same_in_both(tree, prepared):
    folder, stored = (read_catalog(r, exclude=["BLA"]) for r in (tree, prepared))
    assert stored.paths == folder.paths
    assert stored.classes == folder.classes == ("ABE", "WBC")
    assert stored.fingerprint == folder.fingerprint
    np.testing.assert_array_equal(stored.labels, folder.labels)
    np.testing.assert_array_equal(stored.encoded(2), folder.encoded(2))
    with pytest.raises(DataError, match="names XYZ"):
        read_catalog(prepared, exclude=["XYZ"])


def test_threads_share_the_set_and_a_worker_can_receive_it(prepared):
    stored = read_catalog(prepared)
    alone = [stored.encoded(p).tobytes() for p in range(len(stored))]
    again = pickle.loads(pickle.dumps(stored))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(again.encoded, [p for p in range(6) for _ in range(20)]))
    assert [f.tobytes() for f in found[::20]] == alone


def shard_of(folder, number=1):
    return sorted(folder.glob("*.array_record-*"))[number]


def test_a_missing_shard_is_named(damaged):
    shard_of(damaged).unlink()
    with pytest.raises(DataError, match=rf"{shard_of(damaged, 0).name[:-14]}.*No such"):
        read_catalog(damaged)


def test_a_truncated_shard_is_named(damaged):
    shard = shard_of(damaged)
    os.truncate(shard, shard.stat().st_size - 1)
    with pytest.raises(DataError, match=rf"{shard.name}.* bytes, expected"):
        read_catalog(damaged)


def test_a_flipped_bit_is_an_error_and_no_image(damaged):
    shard = shard_of(damaged, 0)
    content = bytearray(shard.read_bytes())
    start = content.find(read_catalog(damaged).encoded(0).tobytes()[20:60])
    assert start > 0
    content[start] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"ABE_00001\.png.* prepare it again"):
        read_catalog(damaged).encoded(0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda index: index["images"].pop(), "is damaged"),
        (lambda index: index["images"][0].__setitem__(1, 5), "is damaged"),
        (lambda index: index["shards"][0].update(file="../x"), "is damaged"),
        (lambda index: index.pop("fingerprint"), "is damaged"),
        (lambda index: index.update(format=9), "has format 9"),
    ],
)
def test_a_damaged_index_is_refused(change, sentence, damaged):
    index = json.loads((damaged / INDEX).read_text())
    change(index)
    (damaged / INDEX).write_text(json.dumps(index))
    with pytest.raises(DataError, match=sentence):
        read_catalog(damaged)


def test_a_set_without_its_index_is_no_folder_of_images(damaged):
    (damaged / INDEX).unlink()
    with pytest.raises(DataError, match="looks like a prepared set"):
        read_catalog(damaged)


def test_what_to_do_about_an_unreadable_image_fits_where_it_lies(tree, damaged):
    for catalog, cure in (
        (read_catalog(tree), "run python -m bmjax.data verify"),
        (read_catalog(damaged), "remove the set's folder and prepare it again"),
    ):
        with pytest.raises(DataError, match=cure):
            Replaced(limit=0).note(catalog, np.array([0]))
