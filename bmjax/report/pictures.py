"""Cells as small pictures inside the page."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path

from bmjax.errors import DataError

MOST_BYTES = 2_500_000  # of all pictures of a page, so that it can be sent by mail
_LARGEST = 20_000_000  # bytes of a file that is opened
_QUALITY = 82  # of the JPEG


class Album:
    """Pictures of cells from the data folders, until the page is full.

    A picture is decoded as for training and encoded anew, so that nothing but its
    pixels comes into the page.
    """

    def __init__(self, roots: Sequence[Path]):
        """Look for images below `roots`, in that order."""
        self._roots = [root for root in roots if root.is_dir()]
        self._left = MOST_BYTES
        self._made: dict[tuple[str, int], str] = {}

    @property
    def full(self) -> bool:
        """Whether a picture had to be left out for want of room."""
        return self._left <= 0

    def picture(self, path: str, size: int) -> str:
        """The image as a data URI of `size` pixels a side; "" where there is none.

        Args:
            path: of the image, as in the predictions; never looked for outside the
                data folders.
            size: side of the square picture.
        """
        key = path, size
        if key not in self._made:
            self._made[key] = self._make(path, size)
        return self._made[key]

    def _make(self, path: str, size: int) -> str:
        file = self._find(path)
        if file is None or self.full:
            return ""
        import cv2

        from bmjax.data.images.decode import read_pixels

        try:
            pixels = read_pixels(file, size=size)
        except DataError:  # the table beside it names the file all the same
            return ""
        done, encoded = cv2.imencode(
            ".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
        )
        uri = "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")
        self._left -= len(uri)
        return uri if done else ""

    def _find(self, path: str) -> Path | None:
        for root in self._roots:
            whole = os.path.abspath(root)
            inside = os.path.normpath(os.path.join(whole, path))
            if "\0" in path or not inside.startswith(whole + os.sep):
                continue
            file = Path(inside)
            try:
                if file.is_file() and file.stat().st_size <= _LARGEST:
                    return file
            except OSError:  # a name that the file system does not take
                continue
        return None
