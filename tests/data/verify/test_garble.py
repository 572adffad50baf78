"""The search for garbled pictures: what it finds, and that it leaves sound ones alone.

Damage is done here as it happens: bits flipped, bytes lost or overwritten within the
coded data, blocks moved or tinted from some place on.
"""

import numpy as np
import pytest

from bmjax.data.images.decode import decode_whole
from bmjax.data.images.header import read_header
from bmjax.data.verify.examine import examine
from bmjax.data.verify.garble import block_breaks, longest_break, looks_garbled
from tests.helpers import drawn_files as drawn

CELLS = [drawn.cell(seed) for seed in range(40)]
MCU = (16, 16)


def moved(pixels, rng):
    """Some blocks are lost, and all that follow are in the wrong place."""
    blocks = pixels[:240, :240].reshape(15, 16, 15, 16, 3).swapaxes(1, 2)
    blocks = blocks.reshape(225, 16, 16, 3)
    start, lost = rng.integers(15, 180), rng.integers(2, 30)
    last = np.repeat(blocks[-1:], lost, axis=0)
    blocks = np.concatenate([blocks[:start], blocks[start + lost :], last])
    damaged = pixels.copy()
    back = blocks.reshape(15, 15, 16, 16, 3).swapaxes(1, 2)
    damaged[:240, :240] = back.reshape(240, 240, 3)
    return damaged


def tinted(pixels, rng):
    """From one block on, the color is off, as where a block's difference is lost."""
    damaged = pixels.astype(int)
    y, x = 16 * rng.integers(2, 12), 16 * rng.integers(0, 15)
    shift = rng.choice([-40, 40], size=3)
    damaged[y : y + 16, x:] += shift
    damaged[y + 16 :] += shift
    return np.clip(damaged, 0, 255).astype(np.uint8)


def sound(pixels):
    return decode_whole(np.frombuffer(drawn.jpeg(pixels), np.uint8), name="")


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("quality", [50, 80, 100])
def test_sound_pictures_of_any_quality_do_not_look_garbled(quality, subsampling):
    for pixels in CELLS[::4]:
        data = drawn.jpeg(pixels, quality=quality, subsampling=subsampling)
        encoded = np.frombuffer(data, np.uint8)
        block = read_header(encoded).block
        assert not looks_garbled(decode_whole(encoded, name=""), block)


@pytest.mark.parametrize("damage", [moved, tinted])
def test_blocks_moved_or_tinted_are_found(damage):
    rng = np.random.default_rng(0)
    found = [looks_garbled(damage(sound(pixels), rng), MCU) for pixels in CELLS]
    assert np.mean(found) >= 0.95


def test_damaged_data_that_still_decode_are_found(tmp_path):
    """By what the decoder says or by the look: nearly all that anybody could see."""
    rng = np.random.default_rng(0)
    visible, found = 0, 0
    for pixels in CELLS:
        data = drawn.jpeg(pixels)
        start = int(rng.integers(drawn.scan_start(data) + 100, len(data) - 600))
        lost = int(rng.integers(1, 500))
        damaged = data[:start] + data[start + lost :]
        encoded = np.frombuffer(damaged, np.uint8)
        off = decode_whole(encoded, name="").astype(int) - sound(pixels)
        if (np.abs(off).max(-1) > 24).mean() > 0.01:
            (tmp_path / "x.jpg").write_bytes(damaged)
            kinds = {kind for kind, _ in examine(tmp_path / "x.jpg").findings}
            visible += 1
            found += bool(kinds & {"truncated", "damaged", "looks_garbled"})
    assert visible > 20
    assert found >= 0.95 * visible


def test_an_edge_of_the_picture_beside_the_grid_is_no_break():
    pixels = sound(CELLS[0])
    for y in (37, 90, 167):  # a cell's own edge may be as sharp as it likes
        pixels[y:] //= 2
    assert not looks_garbled(pixels, MCU)


def test_breaks_are_the_same_upside_down_in_color_and_for_one_color():
    pixels = sound(CELLS[1])
    breaks = block_breaks(pixels, MCU)
    assert breaks.shape == (15, 16)
    np.testing.assert_allclose(block_breaks(pixels[..., ::-1], MCU), breaks, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (15, 300), (17, 17), (40, 8), (300, 5)])
def test_pictures_too_small_for_blocks_do_not_look_garbled(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for block in (MCU, (8, 8)):
        assert not looks_garbled(noise, block)


def test_the_longest_break_goes_on_from_one_row_into_the_next():
    breaks = np.zeros((3, 4))
    breaks[0, 2:], breaks[1, :2] = 1, 1
    assert longest_break(breaks, 4) == 1.0
    assert longest_break(breaks, 8) == 0.5


def test_the_eight_garbled_files_of_the_release_are_found(shared):
    files = sorted((shared / "cells" / "odd" / "matek_garbled").rglob("*.jpg"))
    assert len(files) == 8
    for path in files:
        assert {kind for kind, _ in examine(path).findings} == {"looks_garbled"}


def test_real_sound_cells_do_not_look_garbled(shared):
    files = sorted((shared / "cells" / "real").rglob("*.jpg"))[::23]
    files += sorted((shared / "cells" / "rare").rglob("*.jpg"))
    files += sorted((shared / "cells" / "odd" / "pbc_native_sizes").rglob("*.jpg"))
    assert len(files) > 200
    assert [path for path in files if examine(path).findings] == []
