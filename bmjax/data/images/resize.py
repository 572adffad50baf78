"""Resizing on the host: the kernel is part of what a network was trained with."""

import cv2
import numpy as np
from PIL import Image

from bmjax.errors import check_known

# Pillow's, whose supports grow where an image shrinks (antialiasing).
_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
RESIZES = ("area", *_PILLOW)


def resize_square(pixels: np.ndarray, *, size: int, how: str = "area") -> np.ndarray:
    """Resize to a square.

    Args:
        pixels: uint8 [H, W, 3].
        size: side of the result, in pixels.
        how: one of `RESIZES`. "area" is OpenCV's area average where an image shrinks,
            else its linear kernel; the others are Pillow's kernels of these names.

    Returns:
        uint8 [size, size, 3]; of the right size already, the image itself.

    Raises:
        ConfigError: `how` is unknown.
    """
    check_known("config.data.resize", how, RESIZES)
    if pixels.shape[:2] == (size, size):
        return pixels
    if how in _PILLOW:
        return np.asarray(Image.fromarray(pixels).resize((size, size), _PILLOW[how]))
    shrinks = min(pixels.shape[:2]) > size
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (size, size), interpolation=kernel)
