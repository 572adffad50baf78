"""What a network was trained on is known image by image, whatever lies beside them."""

import json

import numpy as np
import pytest

from bmjax.data.seen_images import (
    Seen,
    catalog_hashes,
    image_hashes,
    record_images,
    seen_from_json,
    shared_images,
)

PATHS = [f"{name}/{name}_{i}.png" for name in ("AAA", "BBB") for i in range(30)]
SIZES = list(range(100, 160))


def shared(seen, paths, sizes=None):
    hashes = image_hashes(paths, sizes or SIZES[: len(paths)])
    return shared_images(seen, hashes).tolist()


@pytest.fixture
def seen():
    return Seen(np.unique(image_hashes(PATHS[:40], SIZES[:40])))


def test_an_image_is_known_whatever_lies_beside_it(seen):
    more, sizes = ["AAA/new.png", *PATHS], [7, *SIZES]
    assert shared(seen, more, sizes) == list(range(1, 41))
    assert shared(seen, PATHS[30:], SIZES[30:]) == list(range(10))
    assert shared(seen, PATHS[40:], SIZES[40:]) == []
    assert shared(seen, PATHS[:1]) == [0]
    assert shared(seen, []) == []


def test_folders_between_the_class_and_the_file_make_no_difference(seen):
    inner = [path.replace("/", "/0001-1000/") for path in PATHS]
    assert shared(seen, inner, SIZES) == list(range(40))


def test_another_class_name_or_size_is_another_image(seen):
    assert shared(seen, ["CCC/AAA_0.png"], [100]) == []
    assert shared(seen, ["AAA/other.png"], [100]) == []
    assert shared(seen, ["AAA/AAA_0.png"], [101]) == []


def test_other_images_of_the_same_names_are_not_taken_for_them(seen):
    sizes = [100, *(size + 1000 for size in SIZES[1:])]  # one agrees by chance
    assert shared(seen, PATHS, sizes) == []


def test_a_mended_image_does_not_hide_the_others(seen):
    sizes = [9, *SIZES[1:]]
    assert shared(seen, PATHS, sizes) == list(range(1, 40))


def test_a_record_comes_back_from_json_and_takes_eleven_bytes_an_image(seen):
    text = json.dumps(seen.as_json())
    again = seen_from_json(json.loads(text))
    np.testing.assert_array_equal(again.images, seen.images)
    assert again.unknown == ()
    assert len(text) < 11 * len(seen.images) + 100


def test_records_add_up(seen):
    other = Seen(image_hashes(["CCC/1.png"], [5]), ("old.pth",))
    both = seen.joined(other)
    assert len(both.images) == 41
    assert both.unknown == ("old.pth",)
    assert shared(both, ["CCC/1.png"], [5]) == [0]


def test_a_folder_and_the_set_prepared_from_it_have_the_same_images(
    tmp_path,
):
    from bmjax.data.open_images import read_catalog
    from bmjax.data.prepared.prepare import prepare
    from bmjax.data.synthetic import synthesize

    cells = synthesize(tmp_path / "cells", images=210, seed=0, workers=1)
    prepare(str(cells), out=tmp_path / "set")
    folder = read_catalog(cells)
    prepared = read_catalog(tmp_path / "set", exclude=["BLA"])
    record = record_images(folder, np.arange(len(folder)))
    hashes = catalog_hashes(prepared, np.arange(len(prepared)))
    assert len(shared_images(record, hashes)) == len(prepared) > 0
