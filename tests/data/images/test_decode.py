"""What training makes of an image file that is not what it expects."""

import csv
import hashlib
import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from bmjax.data.images.decode import (
    BYTE_LIMIT,
    PIXEL_LIMIT,
    decode,
    decode_whole,
    read_bytes,
)
from bmjax.data.images.header import find_end, read_header
from bmjax.errors import DataError
from tests.helpers import drawn_files as drawn


def read(data, size=250):
    return decode(np.frombuffer(data, np.uint8), size=size, name="cell.jpg")


def test_grey_stands_for_all_three_colors():
    pixels = read(drawn.image(drawn.cell(), "L", "JPEG"))
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 1])
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_of_sixteen_bits_the_upper_eight_are_kept():
    pixels = drawn.cell()
    np.testing.assert_array_equal(read(drawn.sixteen_bit_png(pixels)), pixels)


def test_alpha_is_dropped_and_the_colors_beneath_it_stay():
    pixels = drawn.cell()
    image = Image.fromarray(pixels)
    image.putalpha(60)
    file = io.BytesIO()
    image.save(file, "PNG")
    np.testing.assert_array_equal(read(file.getvalue()), pixels)


def test_a_palette_becomes_its_colors():
    image = Image.fromarray(drawn.cell()).convert("P")
    file = io.BytesIO()
    image.save(file, "PNG")
    np.testing.assert_array_equal(read(file.getvalue()), image.convert("RGB"))


def test_cmyk_becomes_rgb_within_a_few_levels_of_pillow():
    data = drawn.image(drawn.cell(), "CMYK", "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as image:
        wanted = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(read(data) - wanted).max() <= 2


def test_a_picture_is_turned_upright_as_its_exif_says():
    pixels = drawn.cell()
    lying = read(drawn.jpeg(pixels))
    turned = read(drawn.turned_jpeg(pixels, orientation=6))  # a quarter clockwise
    np.testing.assert_array_equal(turned, np.rot90(lying, -1))


def test_other_sizes_are_resized():
    assert read(drawn.jpeg(drawn.cell()[:200, :240])).shape == (250, 250, 3)


@pytest.mark.parametrize("bomb", [drawn.bomb_png(), drawn.bomb_jpeg()])
def test_a_decompression_bomb_is_refused_by_its_head(bomb, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)  # it is never reached
    with pytest.raises(DataError, match=r"declares [46]0000 x [46]0000 pixels"):
        read(bomb)


def test_the_most_pixels_allowed_are_decoded():
    side = int(PIXEL_LIMIT**0.5)
    assert read(drawn.jpeg(np.zeros((side, side), np.uint8))).shape == (250, 250, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        drawn.jpeg(drawn.cell())[:9000],
        drawn.jpeg(drawn.cell())[:-2],
        drawn.jpeg(drawn.cell())[:40],
        drawn.image(drawn.cell(), "RGB", "PNG")[:40_000],
        drawn.image(drawn.cell(), "P", "GIF"),
        drawn.image(drawn.cell(), "RGB", "TIFF"),
    ],
    ids=["empty", "text", "half", "no end", "head", "half PNG", "GIF", "TIFF"],
)
def test_what_is_no_whole_jpeg_or_png_is_refused_by_name(data):
    with pytest.raises(DataError, match=r"'cell.jpg' is no readable JPEG or PNG"):
        read(data)


@pytest.mark.parametrize("data", [drawn.jpeg(drawn.cell()), drawn.bomb_png()])
def test_a_header_cut_anywhere_is_none_or_whole(data):
    encoded = np.frombuffer(data, np.uint8)
    whole = read_header(encoded)
    assert {read_header(encoded[:end]) for end in range(700)} == {None, whole}


@pytest.mark.parametrize(
    ("subsampling", "block"),
    [("4:4:4", (8, 8)), ("4:2:2", (16, 8)), ("4:2:0", (16, 16))],
)
def test_a_header_knows_the_coded_blocks(subsampling, block):
    data = drawn.jpeg(drawn.cell()[:100], subsampling=subsampling)
    header = read_header(np.frombuffer(data, np.uint8))
    assert header[:5] == ("JPEG", 250, 100, 3, 8)
    assert header.block == block
    assert find_end(np.frombuffer(data + b"more", np.uint8), header) == len(data)


def test_a_thumbnails_end_is_not_the_pictures():
    exif = b"Exif\0\0" + drawn.jpeg(np.zeros((8, 8, 3), np.uint8))
    data = np.frombuffer(drawn.jpeg(drawn.cell(), exif=exif)[:-2], np.uint8)
    assert find_end(data, read_header(data)) is None


def test_decoding_agrees_with_pillow_on_the_odd_files(shared):
    """Recorded digests of Pillow 13: equal where no color conversion is in between."""
    checked = 0
    with open(shared / "golden" / "pillow_decode_odd.csv") as file:
        for row in csv.DictReader(file):
            data = (shared / "cells" / "odd" / row["file"]).read_bytes()
            if row["result"] != "ok":
                with pytest.raises(DataError):
                    read(data)
            elif row["mode"] in ("RGB", "L") and not row["file"].endswith("00008.jpg"):
                pixels = decode_whole(np.frombuffer(data, np.uint8), name="")
                digest = hashlib.sha256(pixels.tobytes()).hexdigest()
                assert digest == row["rgb_sha256_or_message"], row["file"]
                checked += 1
    assert checked == 19


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--0.jpg", "git annex get"),
        (b"II*\0" + bytes(40), "a TIFF, whatever its name says; convert it"),
        (b"RIFF\0\0\0\0WEBP" + bytes(20), "a WebP"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC or AVIF"),
        (b"<!DOCTYPE html>", "a page"),
    ],
)
def test_a_file_that_is_something_else_is_called_what_it_is(content, words):
    with pytest.raises(DataError, match=words):
        decode(np.frombuffer(content, np.uint8), size=8, name="x.jpg")


def test_a_pipe_and_a_file_of_gigabytes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DataError, match="it is a pipe, socket or device, no file"):
        read_bytes(tmp_path / "pipe.jpg")
    with open(tmp_path / "holes.jpg", "wb") as file:
        file.truncate(30 * 2**30)
    with pytest.raises(DataError, match=f"and {BYTE_LIMIT:,} are the most"):
        read_bytes(tmp_path / "holes.jpg")
