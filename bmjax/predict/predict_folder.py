"""A folder's images through an encoder into a CSV, a batch at a time."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.open_images import OpenedImages
from bmjax.encoder import Encoder
from bmjax.errors import DataError
from bmjax.evals.predictions import writing_predictions
from bmjax.predict.least_sure import LeastSure


class Predicted(NamedTuple):
    """What came out.

    Attributes:
        classes: how many images were predicted as each class.
        labeled: how many lie in a folder of a class's name.
        correct: how many of these were predicted as it.
        sizes: how many images came in each size, (width, height).
        failed: how many could not be read.
    """

    classes: Counter[str]
    labeled: int
    correct: int
    sizes: Counter[tuple[int, int]]
    failed: int


def predict_folder(
    folder: Path,
    images: OpenedImages,
    encoder: Encoder,
    out: Path,
    *,
    complain: Callable[[str], None],
    progress: Callable[[int, int], None],
    least_sure: LeastSure | None = None,
) -> Predicted:
    """Name every image that can be read; the CSV is there whole, or not at all.

    Args:
        folder: that holds the images, for errors.
        images: of it.
        encoder: names them; it has the names of its classes.
        out: the CSV: `path,label,predicted` and one probability a class, p_CLASS, as
            a run's predictions.csv.
        complain: hears of each image that cannot be read.
        progress: called with how many images are done, and of how many.
        least_sure: is shown every cell.

    Raises:
        DataError: not one image can be read.
        ConfigError: the CSV cannot be written.
    """
    predicted: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    labeled = correct = failed = 0
    with writing_predictions(out, encoder.classes, option="--out") as writer:
        for batch, outputs in encoder.apply(
            images, complain=complain, progress=progress
        ):
            rows: np.ndarray | tuple = ()
            if batch.positions:
                rows = encoder.probabilities(outputs)
            cells = zip(batch.positions, batch.pixels, rows, strict=False)  # filled up
            for position, pixels, row in cells:
                path = images.paths[position]
                label = images.label(position, encoder.classes)
                name = writer.add(path, label, row)
                predicted[name] += 1
                if least_sure is not None:
                    least_sure.add(position, path, pixels, row)
                labeled += bool(label)
                correct += label == name
            sizes += batch.sizes
            failed += len(batch.failed)
        if not predicted:
            raise DataError(
                f"not one of {failed:,} image(s) below {str(folder)!r} can be read; "
                f"{str(out)!r} was not written"
            )
    return Predicted(predicted, labeled, correct, sizes, failed)
