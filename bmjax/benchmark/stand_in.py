"""A run to measure, and a catalog without files where that needs no images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from bmjax.data.images.catalog import Catalog
from bmjax.data.matek import CLASSES
from bmjax.errors import DataError
from bmjax.run.build import BuiltRun, build
from bmjax.run.validate import validate
from bmjax.run.workdir import excluded

_FEWEST = 210  # synthetic cells, the least there can be, for a loop without data


def build_to_measure(
    config: ConfigDict, scratch: Path, *, with_images: bool
) -> BuiltRun:
    """Build a run. Where its configuration names no data, the release stands in.

    Args:
        config: of the run.
        scratch: a folder that may be filled.
        with_images: images are needed; without data a few synthetic cells are made.
    """
    without_images = not (config.data.root or with_images)
    if not config.data.root:
        least = sum(cell.images for cell in CLASSES) if without_images else _FEWEST
        config.data.synthetic_images = config.data.synthetic_images or least
    settings = validate(config)
    catalog = stand_in_catalog(excluded(settings.data.exclude))
    return build(settings, scratch, catalog if without_images else None)


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
