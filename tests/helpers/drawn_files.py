"""Image files drawn for tests of decoding and verification.

Everything is whole numbers: pixels and bytes are the same on every processor, which
those of synthetic cells are not.
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

SIDE = 250


def cell(seed=0):
    """A stained cell among red ones, uint8 [250, 250, 3]."""
    random = np.random.Generator(np.random.PCG64(seed))
    pixels = np.empty((SIDE, SIDE, 3), np.int64)
    pixels[:] = (232, 222, 228)
    for _ in range(14):
        center = random.integers(0, SIDE, 2)
        _paint(pixels, center, random.integers(28, 36), (214, 168, 172))
    center = random.integers(110, 140, 2)
    radius = random.integers(60, 85)
    clumps = _smooth(random.integers(0, 256, (SIDE, SIDE)), 3) - 128
    _paint(pixels, center, radius, (168, 172, 208), clumps)
    nucleus = center + random.integers(-12, 13, 2)
    _paint(pixels, nucleus, radius * 3 // 5, (104, 62, 138), 3 * clumps)
    for _ in range(40):
        grain = center + random.integers(-radius // 2, radius // 2 + 1, 2)
        _paint(pixels, grain, random.integers(2, 5), (150, 60, 90))
    pixels += random.integers(-2, 3, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _paint(pixels, center, radius, color, texture=0):
    """Lay a disc with a soft edge over the picture."""
    y, x = np.ogrid[:SIDE, :SIDE]
    squared = (y - center[0]) ** 2 + (x - center[1]) ** 2
    # 0 to 256, over about four pixels at the edge
    cover = np.clip(128 + (radius**2 - squared) * 32 // radius, 0, 256)[..., None]
    paint = np.asarray(color) + np.broadcast_to(texture, (SIDE, SIDE))[..., None]
    pixels[:] += (paint - pixels) * cover // 256


def _smooth(values, reach):
    """Means of squares of 2 reach + 1 pixels a side, twice; torus."""
    for _ in range(2):
        for axis in (0, 1):
            shifted = [np.roll(values, n, axis) for n in range(-reach, reach + 1)]
            values = sum(shifted) // len(shifted)
    return values


def jpeg(pixels, quality=95, **options):
    """RGB or grey pixels as a JPEG, 4:2:0 as the release's."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def image(pixels, mode, file_format, **options):
    """Pixels in any mode and format that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, file_format, **options)
    return file.getvalue()


def sixteen_bit_png(pixels):
    """RGB pixels as a PNG of 16 bits a channel; the lower 8 bits are noise."""
    low = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint16)
    deep = pixels.astype(np.uint16)[..., ::-1] * 256 + low
    return cv2.imencode(".png", deep)[1].tobytes()


def turned_jpeg(pixels, orientation=6):
    """A JPEG whose EXIF says how it is to be turned."""
    exif = Image.Exif()
    exif[274] = orientation
    return jpeg(pixels, exif=exif)


def bomb_png(side=40_000):
    """A PNG of some bytes that declares side x side pixels."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def bomb_jpeg(side=60_000):
    """A JPEG of some bytes that declares side x side pixels."""
    data = bytearray(jpeg(np.zeros((16, 16, 3), np.uint8)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def scan_start(data):
    """Where the coded picture of a JPEG begins."""
    scan = data.index(b"\xff\xda")
    return scan + 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
