"""What a JPEG or PNG says of itself before anything is decoded.

A few bytes are read and nothing is unpacked, so that a file which declares a giant
picture costs nothing. JPEG: ITU-T T.81, annex B; PNG: W3C Portable Network Graphics.
"""

from typing import NamedTuple

import numpy as np

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
_PALETTE = 3
# Start of frame: baseline, extended, progressive, ... all but C4 (Huffman tables), C8
# (reserved) and CC (arithmetic conditioning).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
_SCAN = 0xDA
_END = 0xD9
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length


class Header(NamedTuple):
    """The head of an image file.

    Attributes:
        format: "JPEG" or "PNG".
        width: in pixels, as stored (before EXIF turns the picture).
        height: in pixels.
        channels: 1 grey or palette, 2 grey and alpha, 3 color, 4 color and alpha (PNG)
            or CMYK (JPEG).
        bits: of one channel of one pixel.
        palette: the pixels are numbers of colors.
        progressive: a JPEG in several scans.
        block: width and height of the smallest coded unit (MCU) of a JPEG in pixels;
            what is lost or moved in damaged data has its edges on this grid.
        body: where the header ends, in bytes: nothing before it is picture.
    """

    format: str
    width: int
    height: int
    channels: int
    bits: int
    palette: bool
    progressive: bool
    block: tuple[int, int]
    body: int


def read_header(encoded: np.ndarray) -> Header | None:
    """Read the head of an encoded image, uint8 [bytes]; None: no JPEG or PNG.

    A few microseconds.
    """
    data = memoryview(encoded)
    try:
        if data[:2] == b"\xff\xd8":
            return _read_jpeg(data)
        if data[:8] == _PNG:
            return _read_png(data)
    except (IndexError, ValueError):  # it ends within its head
        pass
    return None


def find_end(encoded: np.ndarray, header: Header) -> int | None:
    """Where the picture ends, in bytes: behind its end marker; None: it has none."""
    marker = b"\xff\xd9" if header.format == "JPEG" else b"IEND\xaeB`\x82"
    if encoded[-len(marker) :].tobytes() == marker:
        return encoded.size
    found = encoded.tobytes().rfind(marker, header.body)
    return None if found < 0 else found + len(marker)


def _read_jpeg(data: memoryview) -> Header | None:
    position, frame, kind = 2, None, 0
    while True:
        if data[position] != 0xFF:  # as libjpeg, go on at the next marker
            position = bytes(data).index(b"\xff", position)
        marker = data[position + 1]
        if marker == 0xFF:  # filling
            position += 1
            continue
        if marker in _ALONE:
            position += 2
            continue
        if marker == _END:
            return None
        length = _big(data, position + 2, 2)
        if length < 2:
            return None
        if marker in _FRAMES:
            frame, kind = position, marker
        position += 2 + length
        if marker == _SCAN:
            break
    if frame is None or position > len(data):
        return None
    channels = data[frame + 9]
    sampling = [data[frame + 11 + 3 * channel] for channel in range(channels)]
    alone = channels == 1  # then sampling means nothing and a block is 8 x 8
    return Header(
        format="JPEG",
        width=_big(data, frame + 7, 2),
        height=_big(data, frame + 5, 2),
        channels=channels,
        bits=data[frame + 4],
        palette=False,
        progressive=kind in _PROGRESSIVE,
        block=(
            8 * (1 if alone else max(each >> 4 for each in sampling)),
            8 * (1 if alone else max(each & 15 for each in sampling)),
        ),
        body=position,
    )


def _read_png(data: memoryview) -> Header | None:
    kind = data[25]
    if data[12:16] != b"IHDR" or kind not in _PNG_CHANNELS:
        return None
    return Header(
        format="PNG",
        width=_big(data, 16, 4),
        height=_big(data, 20, 4),
        channels=_PNG_CHANNELS[kind],
        bits=data[24],
        palette=kind == _PALETTE,
        progressive=False,
        block=(16, 16),  # of the JPEG it may have been made from
        body=33,
    )


def _big(data: memoryview, position: int, count: int) -> int:
    """A big-endian number."""
    if position + count > len(data):
        raise IndexError(position)
    return int.from_bytes(data[position : position + count])
