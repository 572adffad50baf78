"""Laws of the pictures in a page: from the data folder alone, and pixels alone."""

import base64

import cv2
import numpy as np
import pytest

from bmjax.data.prepared.prepare import prepare
from bmjax.report import write_comparison
from bmjax.report.pictures import MOST_BYTES, Album
from tests.helpers.report_pages import Page, write_rows


@pytest.fixture
def cells(tmp_path):
    """A data folder with one small image of noise, and a file outside it."""
    folder = tmp_path / "cells" / "BLA"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    cv2.imwrite(str(folder / "a.jpg"), noise)
    cv2.imwrite(str(tmp_path / "secret.jpg"), noise)
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff no image")
    return tmp_path / "cells"


def test_pictures_come_from_the_data_folder_alone(cells):
    album = Album([cells])
    assert album.picture("BLA/a.jpg", 16).startswith("data:image/jpeg;base64,")
    for path in (
        "../secret.jpg",
        "BLA/../../secret.jpg",
        str(cells.parent / "secret.jpg"),
        "BLA/torn.jpg",
        "BLA/none.jpg",
        "BLA",
        "",
        "a\0b",
        "x" * 5000,
    ):
        assert album.picture(path, 16) == ""


def test_a_prepared_set_gives_the_pictures_of_its_folder(cells, tmp_path):
    (cells / "BLA" / "torn.jpg").unlink()
    noise = np.random.default_rng(1).integers(0, 255, (32, 32, 3), np.uint8)
    (cells / "EOS" / "0001-1000").mkdir(parents=True)
    cv2.imwrite(str(cells / "EOS" / "0001-1000" / "b.png"), noise)
    prepare(str(cells), out=tmp_path / "set")
    plain, prepared = Album([cells]), Album([tmp_path / "set"])
    for path in ("BLA/a.jpg", "EOS/0001-1000/b.png"):
        assert prepared.picture(path, 16) == plain.picture(path, 16) != ""
    for path in ("../secret.jpg", "BLA/none.jpg", "bmjax_index.json", "", "a\0b"):
        assert prepared.picture(path, 16) == ""


def test_a_damaged_set_costs_its_pictures_and_not_the_page(cells, tmp_path):
    (cells / "BLA" / "torn.jpg").unlink()
    prepare(str(cells), out=tmp_path / "set")
    (tmp_path / "set" / "bmjax_index.json").write_text("{}")
    assert Album([tmp_path / "set"]).picture("BLA/a.jpg", 16) == ""
    assert Album([tmp_path / "set", cells]).picture("BLA/a.jpg", 16) != ""


def test_pictures_hold_pixels_alone(cells):
    file = cells / "BLA" / "a.jpg"
    exif = b"Exif\0\0 Patient Name"
    marker = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    file.write_bytes(file.read_bytes()[:2] + marker + file.read_bytes()[2:])
    uri = Album([cells]).picture("BLA/a.jpg", 16)
    assert b"Patient" not in base64.b64decode(uri.split(",")[1])


def test_pictures_end_where_the_page_is_full(cells, monkeypatch):
    monkeypatch.setattr("bmjax.report.pictures.MOST_BYTES", 1)
    album = Album([cells])
    assert album.picture("BLA/a.jpg", 16)
    assert album.full
    assert album.picture("BLA/a.jpg", 24) == ""
    assert MOST_BYTES < 5_000_000


def test_cells_that_all_get_wrong_are_shown(cells, tmp_path):
    rows = [("BLA/a.jpg", "BLA", "EBO"), ("b.jpg", "EBO", "EBO")]
    for name in ("one", "two"):
        write_rows(tmp_path / f"{name}.csv", [("path", "label", "predicted"), *rows])
    tables = [tmp_path / "one.csv", tmp_path / "two.csv"]
    written = write_comparison([], tables, out=tmp_path / "out", images=cells)
    page = Page(written.read_text("utf-8"))
    pictures = [a for tag, a in page.tags if tag == "img"]
    assert [picture["alt"] for picture in pictures] == ["Cell BLA/a.jpg"]
