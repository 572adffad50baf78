"""Which images cannot be read: found before they are needed."""

import hashlib
from collections.abc import Iterable

import numpy as np

from bmjax.console.progress import tracked
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode_whole
from bmjax.data.images.read_bounded import read_bounded
from bmjax.errors import DataError

_DIGEST = 16  # bytes: no two of 2^32 different files have one


def find_unreadable(
    catalog: Catalog,
    positions: np.ndarray,
    *,
    threads: int = 0,
    digests: dict[int, bytes] | None = None,
) -> dict[int, str]:
    """Read and decode images as training does, and keep none of them.

    A core reads about 1,500 images of the release a second (measured: 1,360 to 1,680).

    Args:
        catalog: the images.
        positions: int [n], of those to read.
        threads: that read and decode; 0 takes one for each core.
        digests: gets a digest of each file that was read, by position: equal files
            have equal ones.

    Returns:
        the position of each image that cannot be read, ascending, with a sentence that
        names it.
    """

    def why(position: int) -> tuple[int, str]:
        name = str(catalog.root / catalog.paths[position])
        try:
            encoded = catalog.encoded(position)
            if digests is not None:
                hashed = hashlib.sha256(np.ascontiguousarray(encoded))
                digests[position] = hashed.digest()[:_DIGEST]
            decode_whole(encoded, name=name)
        except DataError as error:
            return position, str(error)
        return position, ""

    numbers = np.sort(positions).tolist()
    read: Iterable = read_bounded(why, numbers, threads=threads)
    read = tracked(read, "images read", len(numbers))
    return {position: sentence for position, sentence in read if sentence}
