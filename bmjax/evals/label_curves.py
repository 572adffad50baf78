"""How well classes are told apart from few labels, on the same frozen features.

Some training images of each class are drawn and their labels are given to a classifier;
the labels of all others stay unused. What is drawn depends on the seed, the draw, the
class's name and its images alone: it is the same for every system, and a draw of more
images holds those of the draws of fewer.
"""

import hashlib
import os
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bmjax.evals.classification import classification_metrics
from bmjax.evals.knn_probe import knn_probabilities
from bmjax.evals.linear_probe import apply_linear, moments
from bmjax.evals.logistic_probe import LogisticFit, fit_logistic
from bmjax.evals.subset import choose_rows

# All ours. "C" in scikit-learn, of features with mean 0 and deviation 1.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_FOLDS = 5  # of the cross-validation that chooses among them
MOST_TO_CHOOSE = 10_000  # images that the cross-validation looks at
# Threads of a product as small as these cost more than they give: on two busy cores
# thirty fits took 5.6 s with two threads and 0.5 s with one.
_FEW_NUMBERS = 2**20
_WITHOUT_CHOICE = 1e-2  # where no class has two labeled images to validate on
_SCORES = ("accuracy", "balanced_accuracy", "macro_f1")


class SplitFeatures(NamedTuple):
    """Frozen features of both parts of a split, and their labels.

    Attributes:
        train: float32 [n, F], may be mapped from disk.
        test: float32 [m, F].
        train_labels: int [n].
        test_labels: int [m].
        classes: names, by number.
    """

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]


class StrengthChoice(NamedTuple):
    """The strength that cross-validation on the labeled images chose."""

    strength: float
    images: int  # that were held out once; 0: none could be, and nothing was chosen


def drawn_order(
    labels: np.ndarray, classes: Sequence[str], *, seed: int, draw: int
) -> list[np.ndarray]:
    """The order in which each class's training images get their labels, in one draw.

    Args:
        labels: int [n], of the training part, whose images stand in path order.
        classes: names, by number.
        seed: of all draws.
        draw: its number, from 1.

    Returns:
        for each class, its rows in the training part, int [images of the class].
    """
    orders = []
    for number, name in enumerate(classes):
        word = draw << 32 | zlib.crc32(os.fsencode(name))
        random = np.random.Generator(np.random.Philox(key=[seed, word]))
        orders.append(random.permutation(np.flatnonzero(labels == number)))
    return orders


def labeled_rows(orders: Sequence[np.ndarray], per_class: int | None) -> np.ndarray:
    """The rows that have labels: the first `per_class` of each class, or all.

    A class with fewer images gives all it has. None: every row, ascending.
    """
    if per_class is None:
        return np.sort(np.concatenate(orders))
    return np.concatenate([order[:per_class] for order in orders])


def rows_digest(paths: Sequence[str], rows: np.ndarray) -> str:
    """SHA-256 of the paths of rows, whatever their order."""
    hashed = hashlib.sha256()
    for path in sorted(paths[row] for row in rows):
        hashed.update(os.fsencode(path) + b"\0")
    return hashed.hexdigest()


def stratified_folds(labels: np.ndarray, folds: int = _FOLDS) -> np.ndarray:
    """The fold in which each row is held out, int [n], each class dealt out in turn.

    A class of one row is never held out: its fold is -1.
    """
    found = np.full(len(labels), -1)
    dealt = 0
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            found[members] = (dealt + np.arange(len(members))) % folds
            dealt += len(members)
    return found


def choose_strength(
    features: np.ndarray, labels: np.ndarray, *, classes: int
) -> StrengthChoice:
    """Choose among STRENGTHS by the cross-entropy of held-out labeled images.

    From the smallest on, until the cross-entropy rises: it falls while the classifier
    learns and rises where it is too sure of itself. Not accuracy: of a few dozen images
    many strengths get the same number right.

    Args:
        features: float32 [n, F], standardized, of labeled images.
        labels: int [n].
        classes: N.
    """
    folds = stratified_folds(labels)
    if not (folds >= 0).any():
        return StrengthChoice(_WITHOUT_CHOICE, 0)
    best, least = STRENGTHS[0], np.inf
    for strength in STRENGTHS:
        loss = _held_out_loss(features, labels, folds, classes, strength)
        if loss > least:
            break
        if loss < least:
            best, least = strength, loss
    return StrengthChoice(best, int((folds >= 0).sum()))


def _held_out_loss(
    features: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    classes: int,
    strength: float,
) -> float:
    """The cross-entropy of all images that are held out once, summed."""
    loss = 0.0
    for fold in np.unique(folds[folds >= 0]):
        inside, outside = folds != fold, folds == fold
        fit = fit_logistic(
            features[inside], labels[inside], classes=classes, strength=strength
        )
        shares = apply_linear(fit.linear, features[outside])
        right = shares[np.arange(outside.sum()), labels[outside]]
        loss -= float(np.log(np.maximum(right, np.finfo(np.float32).tiny)).sum())
    return loss


def fit_few_labels(
    features: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    *,
    scale: tuple[np.ndarray, np.ndarray],
    classes: int,
    seed: int,
) -> tuple[LogisticFit, StrengthChoice]:
    """Fit a logistic regression on the labeled rows alone, its strength chosen there.

    Args:
        features: float32 [n, F] of the training part, may be mapped from disk.
        labels: int [n]; those of `rows` alone are looked at.
        rows: int [m], the labeled ones.
        scale: mean and deviation [F] of the features, which need no label.
        classes: N.
        seed: of the choice of MOST_TO_CHOOSE rows, where there are more.
    """
    from threadpoolctl import threadpool_limits

    mean, std = scale
    few = len(rows) * features.shape[1] < _FEW_NUMBERS
    with threadpool_limits(limits=1 if few else None):
        some = rows[choose_rows(labels[rows], MOST_TO_CHOOSE, seed)]
        standardized = ((features[some] - mean) / std).astype(np.float32)
        choice = choose_strength(standardized, labels[some], classes=classes)
        # All rows are not copied: the fit reads them from where they are.
        whole = len(rows) == len(features)
        fit = fit_logistic(
            features if whole else features[rows],
            labels if whole else labels[rows],
            classes=classes,
            strength=choice.strength,
            scale=scale,
        )
    return fit, choice


def nearest_labeled(data: SplitFeatures, rows: np.ndarray) -> np.ndarray:
    """The class of the labeled image that is nearest by cosine, int [m]; no tuning."""
    whole = len(rows) == len(data.train)
    shares = knn_probabilities(
        data.train if whole else data.train[rows],
        data.train_labels if whole else data.train_labels[rows],
        data.test,
        classes=len(data.classes),
        neighbors=(1,),
    )[1]
    return shares.argmax(axis=1)


def feature_scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation [F] of all training features; no label is used."""
    return moments(features, np.arange(len(features)))


def judge_labeled(
    data: SplitFeatures,
    rows: np.ndarray,
    *,
    scale: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Metrics on the test part of the classifiers that know the labels of `rows`.

    Args:
        data: the system's features.
        rows: int [m], the training images whose labels are given.
        scale: of `feature_scale`.
        seed: see `fit_few_labels`.

    Returns:
        of "logistic" and "nearest" (the nearest labeled image): accuracy,
        balanced_accuracy and macro_f1; of "logistic" also how its fit ended.
    """
    fit, choice = fit_few_labels(
        data.train,
        data.train_labels,
        rows,
        scale=scale,
        classes=len(data.classes),
        seed=seed,
    )
    predicted = apply_linear(fit.linear, data.test).argmax(axis=1)
    return {
        "logistic": {
            **_scores(data, predicted),
            "strength": choice.strength,
            "chosen_on": choice.images,
            "iterations": fit.iterations,
            "converged": fit.converged,
            "relative_gradient": fit.gradient,
        },
        "nearest": _scores(data, nearest_labeled(data, rows)),
    }


def _scores(data: SplitFeatures, predicted: np.ndarray) -> dict[str, float | None]:
    found = classification_metrics(data.test_labels, predicted, data.classes)
    return {name: found[name] for name in _SCORES}
