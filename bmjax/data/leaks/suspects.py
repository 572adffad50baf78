"""Pairs that a run's features find alike: candidates that pixels do not suggest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.leaks.near import Pairs
from bmjax.data.splits.make_split import Split, split_digest
from bmjax.errors import DataError
from bmjax.files import read_json_object

_ROWS, _COLUMNS = 1024, 8192  # features read at a time


class Features:
    """Frozen features of the two parts of a split, mapped from disk."""

    def __init__(self, run: Path, catalog: Catalog, split: Split):
        """Open the features of a run on these images and this split.

        Raises:
            DataError: the run has none, or was made on other images or another split.
        """
        self.split = split
        try:
            results = read_json_object(run / "results.json")
            self.train, self.test = (
                np.load(run / "features" / f"{part}.npy", mmap_mode="r")
                for part in split._fields
            )
            made_on = (results["data_fingerprint"], results["split_digest"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"--features={str(run)!r} holds no finished run ({error}); give the "
                "workdir of one"
            ) from None
        if results.get("labels"):
            raise DataError(
                f"--features={str(run)!r} was made with corrections of labels "
                "(config.data.labels), which the audit does not read; give a run "
                "without them"
            )
        if made_on[0] != catalog.fingerprint:
            raise DataError(
                f"--features={str(run)!r} was made on other images than "
                f"{str(catalog.root)!r}; audit the folder that it was trained on"
            )
        if results.get("validation"):
            raise DataError(
                f"--features={str(run)!r} was made with a validation part "
                "(config.data.validation_share), which its training features lack; "
                "give a run without one"
            )
        if made_on[1] != split_digest(catalog, split):
            raise DataError(
                f"--features={str(run)!r} was made on another split, "
                f"{results.get('split')} {results.get('fold')}; give its --split, "
                "--fold and --seed"
            )


def alike(
    features: Features,
    *,
    cosine: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Each test image's most alike training image, where it is alike enough.

    Yields:
        positions of training images, of test images, and the cosines, for a thousand
        test images at a time.
    """
    train, test = features.split
    progress(0, len(test))
    for start in range(0, len(test), _ROWS):
        queries = _directions(features.test[start : start + _ROWS])
        best = np.full(len(queries), -1, np.float32)
        place = np.zeros(len(queries), int)
        for column in range(0, len(train), _COLUMNS):
            others = _directions(features.train[column : column + _COLUMNS])
            cosines = queries @ others.T
            nearest = cosines.argmax(axis=1)
            values = cosines[np.arange(len(queries)), nearest]
            closer = values > best
            best[closer], place[closer] = values[closer], nearest[closer] + column
        rows = np.flatnonzero(best >= cosine)
        yield train[place[rows]], test[start + rows], best[rows]
        progress(min(start + _ROWS, len(test)), len(test))


def in_every_symmetry(first: np.ndarray, second: np.ndarray) -> Pairs:
    """Candidates whose turn is not known: each is tried in all eight."""
    pairs, turns = np.arange(len(first)).repeat(8), np.tile(np.arange(8), len(first))
    nothing = np.zeros(len(pairs), np.float32)
    return Pairs(first[pairs], second[pairs], turns, nothing)


def _directions(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
