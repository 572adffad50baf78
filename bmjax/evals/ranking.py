"""How many images decide which of two systems is ahead by macro F1."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bmjax.evals.confusion import Counts, mean_over, metrics_of_counts

_MOST_CLASSES = 20  # whose subsets are all tried: a million
_TIE = 1e-12  # a difference of sums of F1 that is rounding
_LISTED = 3  # classes that the sentence names
_MOST_ANSWERS = (
    2000  # right answers looked through; a lead that outlasts them is said so
)


class Decision(NamedTuple):
    """What the order of two systems rests on."""

    leader: int  # 0: the first is ahead, 1: the second, -1: neither
    difference: float  # macro F1 of the first minus the second's
    answers: int | None  # right answers whose loss ends the lead; None: over 2,000
    answers_by_class: dict[str, int]  # the same, and where they are
    flipped_without: tuple[dict[str, Any], ...]  # classes that decide the order alone
    sentence: str


def decided_by(
    first: Counts,
    second: Counts,
    classes: Sequence[str],
    names: tuple[str, str] = ("the first", "the second"),
) -> Decision:
    """Find the fewest images that decide which system has the higher macro F1.

    `answers`: the fewest of the leader's right answers whose loss ends its lead. The
    search is exact (all ways to take k answers from the classes, by dynamic
    programming). An answer that is lost is counted as no answer; as a wrong one it also
    spoils the class that it goes to, so that the true number may be smaller and is
    never larger.

    `flipped_without`: the classes each of which, left out of the average with all its
    images, turns the order round, fewest images first. Predictions are as they were,
    so the images of other classes called so still count against those.

    Args:
        first: counts of one system.
        second: counts of the other, on the same images.
        classes: names, by number.
        names: of the two systems, for the sentence.

    Raises:
        ValueError: the two have other images in some class.
    """
    if not np.array_equal(first.support, second.support):
        raise ValueError("the systems were tested on other images")
    present = np.asarray(first.support) > 0
    f1 = np.stack([metrics_of_counts(*system).f1 for system in (first, second)])
    means = mean_over(f1, present)
    difference = float(means[0] - means[1])
    if not present.any() or abs(difference) < _TIE:
        sentence = f"{names[0]} and {names[1]} have the same macro F1."
        return Decision(-1, 0.0, 0, {}, (), sentence)
    leader = 0 if difference > 0 else 1
    taken = _fewest_answers((first, second)[leader], abs(difference) * present.sum())
    flipped = []
    for number in np.flatnonzero(present):
        others = present & (np.arange(len(present)) != number)
        without = mean_over(f1, others)
        if others.any() and (without[0] - without[1]) * difference < 0:
            flipped.append(
                {
                    "class": classes[number],
                    "images": int(first.support[number]),
                    "macro_f1": [float(mean) for mean in without],
                }
            )
    flipped.sort(key=lambda entry: (entry["images"], entry["class"]))
    answers = None if taken is None else int(taken.sum())
    by_class = (
        {}
        if taken is None
        else {classes[n]: int(taken[n]) for n in np.flatnonzero(taken)}
    )
    return Decision(
        leader,
        difference,
        answers,
        by_class,
        tuple(flipped),
        _sentence(names, leader, means, answers, by_class, flipped),
    )


def decisive_classes(gains: np.ndarray, images: np.ndarray) -> np.ndarray | None:
    """The classes with the fewest images without which a sum of gains is negative.

    Args:
        gains: float [N], what each class adds to the leader's lead.
        images: int [N], of each class.

    Returns:
        bool [N], the classes to leave out; None where the leader is behind in none.
        Of as many images, those that leave the least; all choices among the 20 most
        telling classes are tried.
    """
    if gains.sum() <= 0:
        return np.zeros(len(gains), bool)
    if not (gains < 0).any():
        return None
    ahead = np.flatnonzero(gains > 0)
    telling = gains[ahead] / np.maximum(images[ahead], 1)
    ahead = ahead[np.argsort(-telling, kind="stable")][:_MOST_CLASSES]
    gone, cost = np.zeros(1), np.zeros(1)
    for place in ahead:  # after it, number b stands for the classes of b's bits
        gone = np.concatenate([gone, gone + gains[place]])
        cost = np.concatenate([cost, cost + images[place]])
    turned = np.flatnonzero(gains.sum() - gone < -_TIE)
    if not len(turned):
        return None
    best = turned[np.lexsort((-gone[turned], cost[turned]))[0]]
    chosen = np.zeros(len(gains), bool)
    chosen[[p for bit, p in enumerate(ahead) if best >> bit & 1]] = True
    return chosen


def _fewest_answers(leader: Counts, lead: float) -> np.ndarray | None:
    """Answers to take from each class so that its F1 sum falls by `lead`, int [N]."""
    end = int(min(leader.correct.sum(), _MOST_ANSWERS))
    most = min(8, end)
    while True:
        best, choices = _greatest_falls(_falls(leader, most), most)
        enough = np.flatnonzero(best >= lead - _TIE)
        if len(enough):
            break
        if most == end:
            return None
        most = min(2 * most, end)
    taken, rest = np.zeros(len(choices), int), int(enough[0])
    for number in reversed(range(len(choices))):
        taken[number] = choices[number][rest]
        rest -= taken[number]
    return taken


def _falls(leader: Counts, most: int) -> list[np.ndarray]:
    """How far the F1 of each class falls by 0, 1, ... answers lost, `most` at most."""
    falls = []
    for correct, support, predicted in zip(*leader, strict=True):
        lost = np.arange(min(most, int(correct)) + 1)
        f1 = 2 * (correct - lost) / np.maximum(support + predicted - lost, 1)
        falls.append(f1[0] - f1)
    return falls


def _greatest_falls(
    falls: list[np.ndarray], most: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The greatest sum of falls by k answers, for each k up to `most`.

    Returns:
        the sums, [up to most + 1], and for each class how many of k answers are its
        own when it and the classes before it share them.
    """
    best, choices = np.zeros(1), []
    for fall in falls:
        size = min(most, len(best) + len(fall) - 2) + 1
        grown, choice = np.full(size, -np.inf), np.zeros(size, int)
        for lost, value in enumerate(fall):
            reach = slice(lost, min(size, lost + len(best)))
            sums = best[: reach.stop - lost] + value
            better = sums > grown[reach]
            grown[reach] = np.where(better, sums, grown[reach])
            choice[reach] = np.where(better, lost, choice[reach])
        best, choices = grown, [*choices, choice]
    return best, choices


def _sentence(
    names: tuple[str, str],
    leader: int,
    means: np.ndarray,
    answers: int | None,
    by_class: dict[str, int],
    flipped: list[dict[str, Any]],
) -> str:
    ahead, behind = names[leader], names[1 - leader]
    order = (
        f"{ahead} is ahead of {behind} by macro F1 "
        f"({means[leader]:.3f} to {means[1 - leader]:.3f})"
    )
    if answers is None:
        return (
            f"{order}; losing {_MOST_ANSWERS:,} right answers would not end that lead."
        )
    where = ", ".join(f"{count:,} of {name}" for name, count in by_class.items())
    if len(by_class) > _LISTED:
        where = f"of {len(by_class)} classes"
    text = (
        f"{order}; losing {answers:,} right answer{'' if answers == 1 else 's'} "
        f"({where}) would end that lead"
    )
    if flipped:
        alone = flipped[0]
        text += (
            f"; without {alone['class']} ({alone['images']:,} test "
            f"image{'' if alone['images'] == 1 else 's'}) {behind} is ahead "
            f"({alone['macro_f1'][1 - leader]:.3f} to {alone['macro_f1'][leader]:.3f})"
        )
    return text + "."
