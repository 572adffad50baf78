"""An image file to pixels."""

from pathlib import Path

import cv2
import numpy as np

from bmjax.errors import DataError

# Threads belong to the pipeline; a pool inside each of them only gets in the way.
cv2.setNumThreads(0)


def read_pixels(path: Path, *, size: int) -> np.ndarray:
    """Read and decode an image file; `decode` says how.

    Raises:
        DataError: the file cannot be read or is no image, by its name.
    """
    return decode(read_bytes(path), size=size, name=str(path))


def read_bytes(path: Path) -> np.ndarray:
    """Read a file as it is, uint8 [bytes].

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(
            f"image {str(path)!r} cannot be read: {error.strerror}"
        ) from None


def decode(encoded: np.ndarray, *, size: int | None, name: str) -> np.ndarray:
    """Decode a JPEG or PNG to RGB, uint8 [size, size, 3].

    An image of another size is resized (area average when it shrinks, else linear).

    Args:
        encoded: uint8 [bytes], the file.
        size: side of the decoded image, in pixels; None leaves it as it is.
        name: of the file, for errors.

    Raises:
        DataError: the bytes are no image.
    """
    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if encoded.size else None
    except cv2.error:  # more pixels than it takes, a damaged header
        pixels = None
    if pixels is None:
        raise DataError(
            f"image {name!r} is no readable JPEG or PNG ({encoded.size} bytes); "
            "replace or remove the file"
        )
    if size and pixels.shape[:2] != (size, size):
        shrinks = min(pixels.shape[:2]) > size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, (size, size), interpolation=how)
    return pixels
