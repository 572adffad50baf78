"""The cells that every system gets wrong, to be looked at again."""

from collections.abc import Sequence
from typing import NamedTuple

from bmjax.evals.predictions import Predictions, chosen_probabilities
from bmjax.evals.prototypes import hardest
from bmjax.report.pictures import Album
from bmjax.report.systems import System
from bmjax.report.words import listing, shown_path

MOST_CELLS = 60  # on a sheet; ours: what an expert reads in some minutes
MISTAKE_SIDE = 144  # pixels of a picture, shown at two thirds of that


class Mistake(NamedTuple):
    """One cell: where it is, what it is predicted as, and its picture or ""."""

    file: str
    name: str  # the end of `file`
    label: str
    predicted: str
    picture: str


class Sheet(NamedTuple):
    """The cells that all systems get wrong, the most confident mistakes first."""

    cells: list[Mistake]
    wrong: int  # of all images, not of the sheet alone
    images: int
    agreed: int  # of `wrong`, those that all systems predict as the same
    pictures: bool  # whether any cell has one


def common_mistakes(systems: Sequence[System], album: Album) -> Sheet:
    """The sheet of systems that were tested on the same images.

    The most confident mistakes are those with the highest mean probability of the
    predicted classes; of equal ones the file's name decides.
    """
    names = [system.name for system in systems]
    answers = [_answers_of(system.predictions) for system in systems]
    hard = hardest([system.predictions for system in systems])
    ranked = sorted(
        (-sum(answer[entry["path"]][1] for answer in answers), entry["path"], number)
        for number, entry in enumerate(hard)
    )
    cells = [
        Mistake(
            shown_path(path),
            path.rsplit("/", 1)[-1],
            hard[number]["label"],
            _in_words([answer[path][0] for answer in answers], names),
            album.picture(path, MISTAKE_SIDE),
        )
        for _, path, number in ranked[:MOST_CELLS]
    ]
    agreed = sum(len(entry["predicted"]) == 1 for entry in hard)
    images, pictures = len(systems[0].predictions.paths), any(c.picture for c in cells)
    return Sheet(cells, len(hard), images, agreed, pictures)


def _answers_of(predictions: Predictions) -> dict[str, tuple[str, float]]:
    """The predicted class of each image and its probability, 0 where none is given."""
    names = [predictions.classes[number] for number in predictions.predicted]
    sure = chosen_probabilities(predictions).tolist()
    pairs = zip(names, sure, strict=True)
    return dict(zip(predictions.paths, pairs, strict=True))


def _in_words(predicted: Sequence[str], names: Sequence[str]) -> str:
    """`MYB`, or `MYB (swav), NGB (supcon and mixup)`."""
    if len(set(predicted)) == 1:
        return predicted[0]
    by_answer: dict[str, list[str]] = {}
    for answer, name in zip(predicted, names, strict=True):
        by_answer.setdefault(answer, []).append(name)
    return ", ".join(f"{answer} ({listing(by)})" for answer, by in by_answer.items())
