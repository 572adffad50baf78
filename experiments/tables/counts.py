"""Averages of per-class figures, and how sure they are by the counts behind them."""

from collections.abc import Collection, Sequence

import numpy as np

from bmjax.evals.confusion import figures_of_counts
from bmjax.evals.intervals import clopper_pearson
from bmjax.evals.ranking import Counts

SMALLEST = "ABE"  # two test images decide the paper's ranking
AVERAGES = {
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "macro_f1_without_ABE": "macro F1 without ABE",
    "macro_f1_without_rare": "macro F1 without rare classes",
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
}
LEVEL = 0.95
_DRAWS = 2000


def rates(counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1, float [..., N]; NaN for a class without test images.

    A class that is there and never called has precision and F1 zero, as in the
    authors' code.
    """
    found = figures_of_counts(*counts)
    absent = np.where(counts.support > 0, 1.0, np.nan)
    return found.precision * absent, found.recall * absent, found.f1 * absent


def averages(
    classes: Sequence[str],
    images: np.ndarray,
    rare: Collection[str],
    *,
    precision: np.ndarray | None,
    recall: np.ndarray | None,
    f1: np.ndarray,
) -> dict[str, np.ndarray]:
    """The averages of `AVERAGES`, each [...], over the last axis of float [..., N].

    Classes that are absent (NaN) are left out. What needs a figure that is None is not
    in the answer, nor is an average over no class.

    Args:
        classes: names, N of them.
        images: int [N], the weights of weighted F1 and accuracy.
        rare: names of the classes with too few test images to say much.
        precision: by class.
        recall: by class.
        f1: by class.
    """
    there = images > 0
    ours = np.array([name != SMALLEST for name in classes])
    common = np.array([name not in rare for name in classes])
    found = {}
    if precision is not None:
        found["macro_precision"] = _mean(precision, there)
    if recall is not None:
        found["macro_recall"] = _mean(recall, there)
    found["macro_f1"] = _mean(f1, there)
    found["macro_f1_without_ABE"] = _mean(f1, there & ours)
    found["macro_f1_without_rare"] = _mean(f1, there & common)
    found["weighted_f1"] = _mean(f1, there, images)
    if recall is not None:
        found["accuracy"] = _mean(recall, there, images)
    return {name: value for name, value in found.items() if value is not None}


def _mean(
    values: np.ndarray, which: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray | None:
    """Weighted mean of the chosen classes, NaN left out."""
    if not which.any():
        return None
    values = values[..., which]
    weights = np.ones(which.sum()) if weights is None else weights[which]
    weights = np.where(np.isnan(values), 0.0, weights)
    return (np.nan_to_num(values) * weights).sum(-1) / weights.sum(-1)


def intervals_of_averages(
    classes: Sequence[str], counts: Counts, rare: Collection[str], *, seed: int = 0
) -> dict[str, list[float]]:
    """Intervals of the averages by a parametric bootstrap from the counts.

    For each draw, the images found of a class are binomial of its n images, and the
    images of other classes that are called so are binomial of all other images, each
    with the share that was counted; classes are drawn by themselves. 2,000 draws,
    percentiles. A class of which all or none was found is found or missed in every
    draw: such an interval is too narrow, and the class's own says by how much.
    Accuracy is a proportion, and its interval exact.
    """
    there = counts.support > 0
    right, images, called = (part[there] for part in counts)
    others = images.sum() - images
    random = np.random.Generator(np.random.Philox(seed))
    size = (_DRAWS, len(images))
    found = random.binomial(images, right / images, size)
    wrong = random.binomial(others, (called - right) / np.maximum(others, 1), size)
    drawn = rates(Counts(found, np.broadcast_to(images, size), found + wrong))
    names = [name for name, is_there in zip(classes, there, strict=True) if is_there]
    draws = averages(
        names, images, rare, precision=drawn[0], recall=drawn[1], f1=drawn[2]
    )
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    spread = {name: np.quantile(draw, ends).tolist() for name, draw in draws.items()}
    return spread | {"accuracy": exact_interval(right.sum(), images.sum())}


def exact_interval(right: int, of: int) -> list[float] | None:
    """The Clopper-Pearson interval of a share; None of nothing."""
    if not of:
        return None
    low, high = clopper_pearson(int(right), int(of), level=LEVEL)
    return [float(low), float(high)]
