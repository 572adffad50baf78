"""A catalog without files, where a measurement needs no images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bmjax.data.folder import Catalog
from bmjax.data.labels import CLASSES
from bmjax.errors import DataError


def stand_in_catalog(exclude: Sequence[str] = ()) -> Catalog:
    """The release as it would be read: its classes, counts and order, without images.

    So a program built on it has the release's number of classes, steps in an epoch and
    durations, and its folder is never opened.

    Args:
        exclude: classes to leave out, by abbreviation.

    Raises:
        DataError: nothing of that name is there to leave out.
    """
    unknown = sorted(set(exclude) - {cell.abbreviation for cell in CLASSES})
    if unknown:
        raise DataError(
            f"config.data.exclude names {', '.join(unknown)}, which the release does "
            "not hold; without config.data.root its classes stand in"
        )
    cells = [cell for cell in CLASSES if cell.abbreviation not in exclude]
    return Catalog(
        root=Path("(no images)"),
        paths=tuple(
            f"{cell.abbreviation}/{cell.abbreviation}_{number:05d}.jpg"
            for cell in cells
            for number in range(1, cell.images + 1)
        ),
        labels=np.repeat(
            np.arange(len(cells), dtype=np.int32), [cell.images for cell in cells]
        ),
        classes=tuple(cell.abbreviation for cell in cells),
        fingerprint="no images",
    )
