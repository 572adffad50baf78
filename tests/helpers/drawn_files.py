"""Image files drawn for tests of decoding and verification."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from bmjax.data.synthetic import draw_cell


def cell(seed=0, label="BLA"):
    """A drawn cell, uint8 [250, 250, 3]."""
    return draw_cell(label, np.random.default_rng(seed))


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
