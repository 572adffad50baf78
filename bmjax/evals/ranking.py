"""How many images decide which of two systems is the better one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bmjax.evals.confusion import (
    AVERAGE_TITLES,
    ClassMetrics,
    Counts,
    average_metrics,
    metrics_of_counts,
)

_MOST_CLASSES = 20  # whose subsets are all tried: a million
_TIE = 1e-12  # a difference of sums of F1 that is rounding
_LISTED = 3  # classes that a sentence names with their predictions
_MOST_LOST = (
    2000  # correct predictions looked through; a lead that outlasts them says so
)
_ROBUST = 0.1  # of the images; a ranking that rests on more is said to hold
_SHOWN = 0.0001  # smallest difference that is printed


class Decision(NamedTuple):
    """What the order of two systems by one average rests on."""

    average: str
    leader: int  # 0: the first is ahead, 1: the second, -1: neither
    difference: float  # the first's average minus the second's
    of: int  # test images
    images: (
        int | None
    )  # of `classes`, or by which accuracy leads; None: no such classes
    classes: tuple[str, ...]  # left out, these reverse the order
    without: tuple[float, float] | None  # both averages without them
    lost: int | None  # correct predictions whose loss ends the lead; None: not known
    lost_by_class: dict[str, int]
    sentence: str
    lost_sentence: str  # "" where `lost` is not known


def decided_by(
    first: ClassMetrics,
    second: ClassMetrics,
    classes: Sequence[str],
    names: tuple[str, str] = ("the first", "the second"),
    *,
    average: str = "macro_f1",
    means: tuple[float, float] | None = None,
) -> Decision:
    """Find the fewest images that decide which system is ahead by an average.

    By an average of F1, these are the images of the classes without which the order is
    the other one (`decisive_classes`). Predictions stay as they were, so images of
    other classes that are predicted as one left out still count against their own
    class. By accuracy, they are the images by which one is ahead.

    By macro F1, `lost` is the smallest number of the leader's correct predictions whose
    loss ends its lead, where the metrics are those of counts on the same images. The
    search is exact (all ways to take k from the classes, by dynamic programming). A
    lost prediction is counted as none; as a wrong one it also spoils the class that it
    goes to, so that the true number may be smaller and is never larger.

    Args:
        first: metrics of one system.
        second: metrics of the other.
        classes: names, by number.
        names: of the two systems, for the sentences.
        average: "macro_f1", "weighted_f1" or "accuracy".
        means: the averages of the two, where they are not those of the metrics (means
            over folds).
    """
    systems = (first, second)
    if means is None:
        values = [average_metrics(system, {})[average] for system in systems]
        means = (float(values[0]), float(values[1]))
    difference = means[0] - means[1]
    leader = -1 if abs(difference) < _TIE else int(difference < 0)
    present = (np.asarray(first.support) > 0) & (np.asarray(second.support) > 0)
    images = np.where(present, systems[max(leader, 0)].support, 0)
    decision = Decision(
        average, leader, difference, int(images.sum()), None, (), None, None, {}, "", ""
    )
    if leader < 0:
        same = f"{names[0]} and {names[1]} have the same {AVERAGE_TITLES[average]}."
        return decision._replace(difference=0.0, images=0, lost=0, sentence=same)
    counted = all(map(_is_counted, systems)) and np.array_equal(
        first.support, second.support
    )
    ahead, behind = systems[leader], systems[1 - leader]
    if average == "accuracy":
        lead = np.where(present, images * (ahead.recall - behind.recall), 0).sum()
        decision = decision._replace(images=round(float(lead)))
    else:
        weights = present if average == "macro_f1" else images
        gains = np.where(present, weights * (ahead.f1 - behind.f1), 0)
        left_out = decisive_classes(gains, images)
        if left_out is not None:
            kept = weights * ~left_out
            decision = decision._replace(
                images=int(images[left_out].sum()),
                classes=tuple(classes[place] for place in np.flatnonzero(left_out)),
                without=tuple(
                    float(np.average(np.where(kept > 0, system.f1, 0), weights=kept))
                    for system in systems
                ),
            )
    if average == "macro_f1" and counted:
        decision = _with_lost(decision, ahead, classes, names[leader])
    return decision._replace(sentence=_sentence(decision, names, counted))


def _is_counted(metrics: ClassMetrics) -> bool:
    """Whether F1 is exactly that of counts: no mean over folds, no published rate."""
    if metrics.correct is None or metrics.predicted is None:
        return False
    counts = Counts(metrics.correct, metrics.support, metrics.predicted)
    present = np.asarray(metrics.support) > 0
    f1 = metrics_of_counts(*counts).f1
    return bool(np.allclose(f1[present], metrics.f1[present], atol=1e-9))


def _with_lost(
    decision: Decision, ahead: ClassMetrics, classes: Sequence[str], name: str
) -> Decision:
    counts = Counts(ahead.correct, ahead.support, ahead.predicted)
    lead = abs(decision.difference) * (np.asarray(ahead.support) > 0).sum()
    taken = _fewest_lost(counts, lead)
    if taken is None:
        said = f"Losing {_MOST_LOST:,} correct predictions would not end {name}'s lead."
        return decision._replace(lost_sentence=said)
    lost = int(taken.sum())
    by_class = {classes[place]: int(taken[place]) for place in np.flatnonzero(taken)}
    where = ", ".join(f"{count:,} of {label}" for label, count in by_class.items())
    if len(by_class) > _LISTED:
        where = f"of {len(by_class)} classes"
    said = (
        f"Losing {lost:,} correct prediction{'' if lost == 1 else 's'} ({where}) would "
        f"end {name}'s lead."
    )
    return decision._replace(lost=lost, lost_by_class=by_class, lost_sentence=said)


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


def _fewest_lost(leader: Counts, lead: float) -> np.ndarray | None:
    """Correct predictions to take from each class for the sum of F1 to fall by `lead`.

    Returns:
        int [N]; None where more than `_MOST_LOST` are needed.
    """
    end = int(min(leader.correct.sum(), _MOST_LOST))
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
    """How far the F1 of each class falls by 0, 1, ... correct predictions lost."""
    falls = []
    for correct, support, predicted in zip(*leader, strict=True):
        lost = np.arange(min(most, int(correct)) + 1)
        f1 = 2 * (correct - lost) / np.maximum(support + predicted - lost, 1)
        falls.append(f1[0] - f1)
    return falls


def _greatest_falls(
    falls: list[np.ndarray], most: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The greatest sum of falls by k predictions lost, for each k up to `most`.

    Returns:
        the sums, [up to most + 1], and for each class how many of k predictions are
        its own when it and the classes before it share them.
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


def _sentence(decision: Decision, names: tuple[str, str], counted: bool) -> str:
    """What a ranking rests on, in words."""
    ahead, behind = names[decision.leader], names[1 - decision.leader]
    images, of = decision.images, f"{decision.of:,} test images"
    lead = (
        f"{ahead} leads {behind} by {abs(decision.difference):.4f} "
        f"{AVERAGE_TITLES[decision.average]}"
    )
    if images is None:
        return f"{lead}, in no class behind: no choice of classes turns that round."
    if decision.average == "accuracy":
        return f"{lead}: {'' if counted else 'about '}{images:,} of {of}."
    if not images:
        return f"{lead}, by rounding alone."
    if images > _ROBUST * decision.of or decision.without is None:
        return (
            f"{lead}. No choice of classes with fewer than {images:,} of {of} turns "
            "that round."
        )
    left = abs(decision.without[0] - decision.without[1])
    by = f"{left:.4f}" if left >= _SHOWN else f"less than {_SHOWN}"
    return (
        f"{lead}. {images:,} of {of} ({', '.join(decision.classes)}) decide it: "
        f"without them {behind} leads by {by}."
    )
