"""An image file to pixels."""

from pathlib import Path

import cv2
import numpy as np

from bmjax.data.images.content import foreign_content
from bmjax.data.images.header import read_header
from bmjax.data.images.resize import resize_square
from bmjax.errors import DataError
from bmjax.files import open_regular

# Threads belong to the pipeline; a pool inside each of them only gets in the way.
cv2.setNumThreads(0)

# A file of 50 KB can declare pixels for gigabytes (a decompression bomb). Ours: 64
# times the release's 250 x 250; a picture of one cell is never so large.
PIXEL_LIMIT = 4_000_000
# Ours: a larger file is no picture of one cell and is not read.
BYTE_LIMIT = 256 * 2**20


def read_pixels(path: Path, *, size: int, resize: str = "area") -> np.ndarray:
    """Read and decode an image file; `decode` says how.

    Raises:
        DataError: the file cannot be read or is no image, by its name.
    """
    return decode(read_bytes(path), size=size, resize=resize, name=str(path))


def read_bytes(path: Path) -> np.ndarray:
    """Read a file as it is, uint8 [bytes].

    Raises:
        DataError: the file cannot be read, is none, or has more than BYTE_LIMIT bytes.
    """
    try:
        with open_regular(path, most=BYTE_LIMIT) as file:
            return np.fromfile(file, np.uint8)
    except OSError as error:
        raise DataError(
            f"image {str(path)!r} cannot be read: {error.strerror}"
        ) from None


def decode(
    encoded: np.ndarray, *, size: int, name: str, resize: str = "area"
) -> np.ndarray:
    """Decode a JPEG or PNG to RGB, uint8 [size, size, 3].

    An image of another size is resized. One that is not 8-bit RGB is made so: gray is
    repeated in the three channels, a palette and CMYK become colors, of 16 bits the
    upper 8 are kept, alpha is dropped (the colors beneath it stay), and the picture is
    turned upright where its EXIF orientation says so. A file cut short is refused,
    since half a picture is none.

    Args:
        encoded: uint8 [bytes], the file.
        size: side of the decoded image, in pixels.
        name: of the file, for errors.
        resize: the kernel, one of `resize.RESIZES`.

    Raises:
        DataError: the bytes are no whole JPEG or PNG, or declare more than PIXEL_LIMIT
            pixels.
    """
    return resize_square(decode_whole(encoded, name=name), size=size, how=resize)


def decode_whole(encoded: np.ndarray, *, name: str) -> np.ndarray:
    """Decode as `decode` does, in the picture's own size, uint8 [H, W, 3]."""
    header = read_header(encoded)
    if header and header.width * header.height > PIXEL_LIMIT:
        raise DataError(
            f"image {name!r} declares {header.width} x {header.height} pixels, and "
            f"{PIXEL_LIMIT:,} in all are the most that is decoded; replace or remove "
            "the file"
        )
    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if header else None
    except cv2.error:  # a damaged header
        pixels = None
    if pixels is None and not header and (foreign := foreign_content(encoded))[0]:
        what, cure = foreign
        raise DataError(
            f"image {name!r} is no readable JPEG or PNG but {what}, whatever its name "
            f"says; {cure}"
        )
    if pixels is None:
        raise DataError(
            f"image {name!r} is no readable JPEG or PNG ({encoded.size} bytes); "
            "replace or remove the file"
        )
    return pixels
