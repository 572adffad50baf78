"""Moments of the channels: exact, whatever the threads."""

import json

import cv2
import numpy as np
import pytest

from bmjax.data.__main__ import main
from bmjax.data.channel_stats import scan_images, show_stats
from bmjax.data.images.folder import read_folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("cells")
    random = np.random.Generator(np.random.PCG64(1))
    for number in range(13):
        folder = root / ("AAA" if number < 4 else "BBB")
        folder.mkdir(exist_ok=True)
        shape = (5 + number, 9, 3)
        pixels = random.integers(0, 20 * (number + 1) % 256 or 1, shape, np.uint8)
        assert cv2.imwrite(str(folder / f"{number:02d}.png"), pixels)
    return root


def test_moments_are_those_of_all_pixels_in_red_green_blue(tree):
    pixels = np.concatenate(
        [
            cv2.imread(str(path))[..., ::-1].reshape(-1, 3) / 255
            for path in tree.rglob("*.png")
        ]
    )
    found = scan_images(read_folder(tree))
    assert found.pixels == len(pixels)
    assert found.bytes == sum(path.stat().st_size for path in tree.rglob("*.png"))
    np.testing.assert_allclose(found.moments.mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.moments.std, pixels.std(0), rtol=1e-12)


def test_the_number_of_threads_does_not_change_a_bit(tree):
    catalog = read_folder(tree)
    assert scan_images(catalog, threads=1) == scan_images(catalog, threads=5)


def test_stats_gives_a_line_to_paste_and_a_file_to_keep(tree, tmp_path, capsys):
    file = tmp_path / "stats.json"
    assert main(["stats", str(tree), "--json", str(file), "--exclude", "AAA"]) == 0
    kept = json.loads(file.read_text())
    catalog = read_folder(tree, exclude=["AAA"])
    assert kept["fingerprint"] == catalog.fingerprint
    moments = scan_images(catalog).moments
    assert kept["mean"] == list(moments.mean)
    line = capsys.readouterr().out.splitlines()[-1]
    shown = [", ".join(f"{value:.6f}" for value in moment) for moment in moments]
    assert line == (
        f'--config.data.mean="({shown[0]})" --config.data.std="({shown[1]})"'
    )


def test_a_file_that_is_no_image_is_named(tmp_path, capsys):
    (tmp_path / "AAA").mkdir()
    cv2.imwrite(str(tmp_path / "AAA" / "1.png"), np.zeros((3, 3, 3), np.uint8))
    (tmp_path / "AAA" / "2.png").write_bytes(b"none")
    assert main(["stats", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "1 of 2 images cannot be read" in said
    assert "2.png" in said
    assert main(["stats", str(tmp_path), "--threads=-1"]) == 2


@pytest.mark.slow
def test_the_real_cells_have_their_moments(shared):
    moments = scan_images(read_folder(shared / "cells" / "real")).moments
    np.testing.assert_allclose(moments.mean, (0.812, 0.686, 0.712), atol=5e-4)
    np.testing.assert_allclose(moments.std, (0.214, 0.240, 0.100), atol=5e-4)


@pytest.mark.parametrize("place", ["nowhere/x.json", "."])
def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    tree, tmp_path, capsys, monkeypatch, place
):
    monkeypatch.setattr(
        "bmjax.data.channel_stats.scan_images",
        lambda *a, **k: pytest.fail("it was worked for"),
    )
    assert main(["stats", str(tree), f"--json={tmp_path / place}"]) == 2
    assert capsys.readouterr().err.startswith("bmjax: --json=")


def test_a_constant_channel_is_named_and_no_keys_are_given(tmp_path):
    random = np.random.default_rng(0)
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
        pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
        pixels[..., 0] = 7  # OpenCV writes blue first
        assert cv2.imwrite(str(tmp_path / name / "x.png"), pixels)
    text = show_stats(str(tmp_path), exclude=(), threads=1, out=None)
    assert "blue (0.027451) is constant" in text
    assert "--config" not in text
