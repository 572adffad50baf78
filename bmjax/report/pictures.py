"""Cells as small pictures inside the page."""

import base64
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bmjax.errors import DataError
from bmjax.report.saliency_file import heat

if TYPE_CHECKING:
    import numpy as np

    from bmjax.data.images.catalog import Catalog

MOST_BYTES = 2_500_000  # of all pictures of a page, so that it can be sent by mail
_LARGEST = 20_000_000  # bytes of a file that is opened
_QUALITY = 82  # of the JPEG


def data_uri(pixels: "np.ndarray") -> str:
    """An image, uint8 [H, W, 3] in RGB, as a JPEG inside a page; "" if that fails."""
    import cv2

    done, encoded = cv2.imencode(
        ".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    text = base64.b64encode(encoded).decode("ascii")
    return f"data:image/jpeg;base64,{text}" if done else ""


class Album:
    """Pictures of cells from the data, until the page is full.

    A picture is decoded as for training and encoded anew, so that nothing but its
    pixels comes into the page.
    """

    def __init__(self, roots: Sequence[Path], *, most: int | None = None):
        """Look for images below `roots`, folders or prepared sets, in that order.

        `most` are the bytes of all pictures together; None: MOST_BYTES.
        """
        self._roots = [root for root in roots if root.is_dir()]
        self._left = MOST_BYTES if most is None else most
        self._made: dict[tuple[str, int], str] = {}
        self._sets: dict[Path, _PreparedSet] = {}

    @property
    def full(self) -> bool:
        """Whether a picture had to be left out for want of room."""
        return self._left <= 0

    def picture(
        self, path: str, size: int, saliency: "np.ndarray | None" = None
    ) -> str:
        """The image as a data URI of `size` pixels a side; "" where there is none.

        Args:
            path: of the image, as in the predictions; never looked for outside the
                data folders.
            size: side of the square picture.
            saliency: a map that is laid over it, float [rows, columns].
        """
        if saliency is not None:
            return self._make(path, size, saliency)
        key = path, size
        if key not in self._made:
            self._made[key] = self._make(path, size)
        return self._made[key]

    def _make(self, path: str, size: int, saliency: "np.ndarray | None" = None) -> str:
        if self.full:
            return ""
        encoded = self._read(path)
        if encoded is None:
            return ""
        from bmjax.data.images.decode import decode

        try:
            pixels = decode(encoded, size=size, name=path)
        except DataError:  # the table beside it names the file all the same
            return ""
        if saliency is not None:
            pixels = heat(pixels, saliency)
        uri = data_uri(pixels)
        self._left -= len(uri)
        return uri

    def _read(self, path: str) -> "np.ndarray | None":
        """The file of an image as it is, from the first root that has it."""
        from bmjax.data.images.decode import read_bytes
        from bmjax.data.prepared.read import is_prepared

        for root in self._roots:
            try:
                if is_prepared(root):
                    prepared = self._sets.setdefault(root, _PreparedSet(root))
                    encoded = prepared.encoded(path)
                else:
                    file = _find(root, path)
                    encoded = None if file is None else read_bytes(file)
            except DataError:  # a page without this picture is better than none
                continue
            if encoded is not None:
                return encoded
        return None


class _PreparedSet:
    """The images of a prepared set by their paths; opened at the first of them."""

    def __init__(self, root: Path):
        self._root = root

    def encoded(self, path: str) -> "np.ndarray | None":
        """The file of an image, None where the set has none of this path.

        Raises:
            DataError: its record is damaged.
        """
        catalog, positions = self._opened
        position = positions.get(path)
        return None if position is None else catalog.encoded(position)

    @cached_property
    def _opened(self) -> "tuple[Catalog | None, dict[str, int]]":
        from bmjax.data.open_images import read_catalog

        try:
            catalog = read_catalog(self._root, say=lambda note: None)
        except DataError:  # damaged; not tried again for every picture
            return None, {}
        return catalog, {path: position for position, path in enumerate(catalog.paths)}


def _find(root: Path, path: str) -> Path | None:
    """The file of a path below a folder, which is never left."""
    whole = os.path.abspath(root)
    inside = os.path.normpath(os.path.join(whole, path))
    if "\0" in path or not inside.startswith(whole + os.sep):
        return None
    file = Path(inside)
    try:
        if file.is_file() and file.stat().st_size <= _LARGEST:
            return file
    except OSError:  # a name that the file system does not take
        pass
    return None
