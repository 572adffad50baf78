"""A folder's images through a predictor into a CSV, a batch at a time."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bmjax.errors import DataError
from bmjax.evals.predictions import writing_predictions
from bmjax.predict.read_images import batches, label_of
from bmjax.predict.source import Predictor


class Predicted(NamedTuple):
    """What came out.

    Attributes:
        classes: how many images were called each class.
        labelled: how many lie in a folder of a class's name.
        right: how many of these were called by it.
        sizes: how many images came in each size, (width, height).
        failed: how many could not be read.
    """

    classes: Counter
    labelled: int
    right: int
    sizes: Counter
    failed: int


def predict_folder(
    folder: Path,
    paths: Sequence[str],
    predictor: Predictor,
    out: Path,
    *,
    batch_size: int,
    threads: int,
    complain: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Predicted:
    """Name every image that can be read; the CSV is there whole, or not at all.

    Args:
        folder: that holds the images.
        paths: relative to it.
        predictor: names them.
        out: the CSV: `path,label,predicted` and one probability a class, p_CLASS, as
            a run's predictions.csv.
        batch_size: images predicted at a time.
        threads: that decode; 0 takes one for each core.
        complain: hears of each image that cannot be read.
        progress: called with how many images are done, and of how many.

    Raises:
        DataError: not one image can be read.
        ConfigError: the CSV cannot be written.
    """
    called, sizes = Counter(), Counter()
    labelled = right = failed = done = 0
    progress(0, len(paths))
    with writing_predictions(out, predictor.classes, option="--out") as writer:
        for read in batches(
            folder,
            paths,
            size=predictor.size,
            batch_size=batch_size,
            threads=threads,
        ):
            for sentence in read.failed:
                complain(sentence)
            shares = predictor.predict(read.pixels) if read.paths else ()
            for path, row in zip(read.paths, shares, strict=False):  # filled up
                label = label_of(path, folder, predictor.classes)
                name = writer.add(path, label, row)
                called[name] += 1
                labelled += bool(label)
                right += label == name
            sizes += read.sizes
            failed += len(read.failed)
            done += len(read.paths) + len(read.failed)
            progress(done, len(paths))
        if not called:
            raise DataError(
                f"not one of {failed:,} image(s) below {str(folder)!r} can be read; "
                f"{str(out)!r} was not written"
            )
    return Predicted(called, labelled, right, sizes, failed)
