"""What a folder is read as."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.folder import read_folder
from bmjax.errors import DataError


def write_image(path, size=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size, size, 3), len(path.name), np.uint8)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "cells"
    for name in (
        "BLA/1001-2000/BLA_01001.jpg",
        "BLA/0001-1000/BLA_00002.jpg",
        "ABE/ABE_00001.JPG",
        "ABE/ABE_00002.png",
    ):
        write_image(root / name)
    return root


def test_reads_images_sorted_by_path_with_labels_from_the_folders(tree):
    (tree / "ABE" / "notes.txt").write_text("no image")
    (tree / "ABE" / "._ABE_00001.jpg").write_bytes(b"left by another system")
    (tree / "empty").mkdir()
    catalog = read_folder(tree)
    assert catalog.classes == ("ABE", "BLA")
    assert catalog.paths == (
        "ABE/ABE_00001.JPG",
        "ABE/ABE_00002.png",
        "BLA/0001-1000/BLA_00002.jpg",
        "BLA/1001-2000/BLA_01001.jpg",
    )
    np.testing.assert_array_equal(catalog.labels, [0, 0, 1, 1])


def test_a_wrapping_folder_makes_no_difference(tree):
    plain = read_folder(tree)
    wrapped = tree.parent / "outer" / "BM_cytomorphology_data"
    shutil.copytree(tree, wrapped)
    (wrapped.parent / "SOURCE.md").write_text("where it is from")
    found = read_folder(wrapped.parent)
    assert found.paths == plain.paths
    assert found.fingerprint == plain.fingerprint


def test_number_ranges_are_parts_of_a_class_and_not_classes(tmp_path):
    for number in (1, 1001):
        first = f"{number:04d}-{number + 999}"
        write_image(tmp_path / "BLA" / first / f"BLA_{number:05d}.jpg")
    assert read_folder(tmp_path).classes == ("BLA",)


def test_any_change_of_the_files_changes_the_fingerprint(tree):
    before = read_folder(tree).fingerprint
    write_image(tree / "ABE" / "ABE_00002.png", size=9)
    changed = read_folder(tree).fingerprint
    write_image(tree / "ABE" / "ABE_00003.png")
    assert len({before, changed, read_folder(tree).fingerprint}) == 3


def test_excluded_classes_are_gone(tree):
    assert read_folder(tree, exclude=("ABE",)).classes == ("BLA",)
    with pytest.raises(DataError, match=r"names XYZ.*classes ABE, BLA"):
        read_folder(tree, exclude=("XYZ",))


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"does not exist"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no JPEG or PNG image"):
        read_folder(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"is a file"):
        read_folder(tmp_path / "file")


def test_the_real_cells_have_their_counts(shared):
    catalog = read_folder(shared / "cells" / "real")
    counts = np.bincount(catalog.labels)
    assert len(catalog) == 4541
    assert dict(zip(catalog.classes, counts.tolist(), strict=True)) == {
        "ART": 400, "BAS": 24, "BLA": 7, "EBO": 850, "EOS": 200, "LYT": 700,
        "MMZ": 110, "MON": 150, "MYB": 230, "NGB": 320, "NGS": 1200, "PMO": 350,
    }  # fmt: skip


@pytest.mark.parametrize("labels", [[0, 2], [0, -1], [0], [0, 1, 1]])
def test_a_label_without_a_class_or_an_image_is_refused(labels):
    with pytest.raises(DataError, match="from 0 to 1"):
        Catalog(Path("x"), ("A/1", "B/1"), np.array(labels), ("A", "B"), "print")
