"""Two systems on the same folds, ready for JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bmjax.errors import DataError
from bmjax.evals.assess import compare
from bmjax.evals.classification import common_classes, number_or_none
from bmjax.evals.confusion import AVERAGES, averages, confusion_matrix
from bmjax.evals.intervals import paired_over_folds
from bmjax.evals.predictions import Predictions, concatenate, join


def compare_folds(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    *,
    names: tuple[str, str] = ("the first", "the second"),
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """What differs between two systems over folds and over all their images.

    Over folds the spread holds the training too, over images it does not: a difference
    should stand in both.

    Args:
        first: predictions of one system, by number of the fold.
        second: of the other, on the same folds.
        names: of the two, for sentences.
        draws: resamples, of images and of folds.
        level: of the intervals.
        seed: of the resamples.

    Returns:
        `folds`: their numbers; `figures`: for each average the values `first` and
        `second` on each fold and, where every fold has one, `paired`, the fields of
        `FoldDifference`; `images`: of `compare` on the images of all folds.

    Raises:
        DataError: fewer than two folds; a fold that only one of them has; other images
            or labels in a fold.
    """
    numbers = sorted({*first, *second})
    for name, folds in zip(names, (first, second), strict=True):
        missing = [str(number) for number in numbers if number not in folds]
        if missing:
            raise DataError(
                f"{name} lacks fold {', '.join(missing)}; compare systems on the same "
                "folds"
            )
    if len(numbers) < 2:
        raise DataError(
            f"{len(numbers)} fold has no spread; compare systems on two folds or more"
        )
    values = np.array([_averages(*join(first[n], second[n])) for n in numbers])
    figures = {}
    for place, name in enumerate(AVERAGES):
        one, other = values[:, 0, place], values[:, 1, place]
        paired = None
        if not np.isnan(one - other).any():
            paired = paired_over_folds(
                one, other, draws=draws, level=level, seed=seed
            )._asdict()
        figures[name] = {
            "first": [number_or_none(value) for value in one],
            "second": [number_or_none(value) for value in other],
            "paired": paired,
        }
    return {
        "folds": numbers,
        "figures": figures,
        "images": compare(
            concatenate(first),
            concatenate(second),
            names=names,
            draws=draws,
            level=level,
            seed=seed,
        ),
    }


def _averages(first: Predictions, second: Predictions) -> list[np.ndarray]:
    """The averages of both systems on one fold, in the order of AVERAGES."""
    matrices = [
        confusion_matrix(system.labels, system.predicted, len(system.classes))
        for system in (first, second)
    ]
    common = common_classes(matrices[0].sum(axis=1))
    return [averages(matrix, common) for matrix in matrices]
