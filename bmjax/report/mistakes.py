"""The cells that every system gets wrong, to be looked at again."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bmjax.evals.predictions import Predictions
from bmjax.report.images import Album
from bmjax.report.systems import System
from bmjax.report.tables import chosen_probabilities
from bmjax.report.words import listing, shown_path

MOST_CELLS = 60  # on a sheet; ours: what an expert reads in some minutes
SIDE = 144  # pixels of a picture, shown at two thirds of that


class Mistake(NamedTuple):
    """One cell: where it is, what it is called, and its picture or ""."""

    file: str
    name: str  # the end of `file`
    label: str
    called: str
    picture: str


class Sheet(NamedTuple):
    """The cells that all systems get wrong, the most confident mistakes first."""

    cells: list[Mistake]
    wrong: int  # of all images, not of the sheet alone
    images: int
    agreed: int  # of `wrong`, those that all systems call the same


def common_mistakes(systems: Sequence[System], album: Album) -> Sheet:
    """The sheet of systems that were judged on the same images.

    The most confident mistakes are those with the highest mean probability of the
    predicted classes; of equal ones the file's name decides.
    """
    first = systems[0].predictions
    called = np.array([_called(system.predictions, first) for system in systems])
    truth = np.array(first.classes, dtype=object)[first.labels]
    wrong = np.flatnonzero((called != truth).all(axis=0))
    sure = np.mean([_sure(system.predictions, first) for system in systems], axis=0)
    ranked = sorted(wrong, key=lambda row: (-sure[row], first.paths[row]))
    names = [system.name for system in systems]
    cells = [
        Mistake(
            shown_path(first.paths[row]),
            first.paths[row].rsplit("/", 1)[-1],
            truth[row],
            _answers(list(called[:, row]), names),
            album.picture(first.paths[row], SIDE),
        )
        for row in ranked[:MOST_CELLS]
    ]
    agreed = int((called[:, wrong] == called[0, wrong]).all(axis=0).sum())
    return Sheet(cells, len(wrong), len(first.paths), agreed)


def _order(predictions: Predictions, first: Predictions) -> np.ndarray:
    """The rows of one system's predictions in the order of the first's images."""
    place = {path: row for row, path in enumerate(predictions.paths)}
    return np.array([place[path] for path in first.paths])


def _called(predictions: Predictions, first: Predictions) -> np.ndarray:
    names = np.array(predictions.classes, dtype=object)[predictions.predicted]
    return names[_order(predictions, first)]


def _sure(predictions: Predictions, first: Predictions) -> np.ndarray:
    return chosen_probabilities(predictions)[_order(predictions, first)]


def _answers(called: Sequence[str], names: Sequence[str]) -> str:
    """`MYB`, or `MYB (swav), NGB (supcon and mixup)`."""
    if len(set(called)) == 1:
        return called[0]
    by_answer: dict[str, list[str]] = {}
    for answer, name in zip(called, names, strict=True):
        by_answer.setdefault(answer, []).append(name)
    return ", ".join(f"{answer} ({listing(by)})" for answer, by in by_answer.items())
