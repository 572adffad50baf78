"""How many labels are wrong, and which: confident learning.

Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels,
J. Artif. Intell. Res. 70 (2021), written from its equations. Probabilities must be of
classifiers that were not trained on the images they judge.
"""

from typing import NamedTuple

import numpy as np

_ROUNDING = 1e-9  # of a mean of probabilities; a table has six digits of them


class LabelNoise(NamedTuple):
    """Estimates over all images; N classes in one fixed order.

    Attributes:
        images: int [N], labeled as each class.
        thresholds: float [N], the mean probability of a class over the images labeled
            as it; infinite for a class without an image, which no image then is.
        confident: int [N, N], the confident joint: images labeled i (row) whose
            probability of j (column) reaches j's threshold, and is the highest of
            those that reach theirs. One image at least of each class that has any
            counts as rightly labeled, as in the authors' code.
        joint: float [N, N], the calibrated joint: each row of `confident` scaled to
            the images labeled so, all summing to 1.
        noise: float [N, N], P(labeled i | truly j); a column of a class that no image
            truly is has zeros.
        wrong: int [N], estimated number of wrong labels among the images of each.
    """

    images: np.ndarray
    thresholds: np.ndarray
    confident: np.ndarray
    joint: np.ndarray
    noise: np.ndarray
    wrong: np.ndarray


class Suspects(NamedTuple):
    """Images in doubt, class by class, the most doubtful of each first.

    Attributes:
        rows: int [m], of the images.
        suggested: int [m], the most probable class but the label.
        ranks: int [m], within the class, from 1.
        margins: float [m], probability of the label less that of the suggested class.
    """

    rows: np.ndarray
    suggested: np.ndarray
    ranks: np.ndarray
    margins: np.ndarray


def estimate_noise(labels: np.ndarray, probabilities: np.ndarray) -> LabelNoise:
    """Estimate the joint distribution of labels and true classes.

    Args:
        labels: int [n], 0 to N - 1; a class may have no image.
        probabilities: float [n, N], out of sample.
    """
    classes = probabilities.shape[1]
    images = np.bincount(labels, minlength=classes)
    confident = np.zeros((classes, classes), int)
    own = probabilities[np.arange(len(labels)), labels].astype(float)
    sums = np.bincount(labels, weights=own, minlength=classes)
    thresholds = np.full(classes, np.inf)
    np.divide(sums, images, out=thresholds, where=images > 0)
    # A mean is rounded: equal probabilities must reach it.
    reached = np.where(probabilities >= thresholds - _ROUNDING, probabilities, -1.0)
    sure = reached.max(axis=1) >= 0
    np.add.at(confident, (labels[sure], reached[sure].argmax(axis=1)), 1)
    kept = np.flatnonzero(images)
    confident[kept, kept] = np.maximum(confident[kept, kept], 1)
    numbers = confident * (images / np.maximum(confident.sum(axis=1), 1))[:, None]
    joint = numbers / max(len(labels), 1)
    truly = joint.sum(axis=0)
    return LabelNoise(
        images=images,
        thresholds=thresholds,
        confident=confident,
        joint=joint,
        noise=np.divide(joint, truly, out=np.zeros_like(joint), where=truly > 0),
        wrong=np.rint(images - numbers.diagonal()).astype(int),
    )


def rank_suspects(
    labels: np.ndarray, probabilities: np.ndarray, most: np.ndarray
) -> Suspects:
    """The images of each class whose labels are most likely wrong.

    They are ranked by the margin, the probability of the label less that of the most
    probable other class, lowest first: an image that is unlike every class has a low
    probability of its label too, and no class to move to. Of equal ones the earlier
    row comes first.

    Args:
        labels: int [n], 0 to N - 1.
        probabilities: float [n, N], out of sample.
        most: int [N], how many of each class are listed, as `LabelNoise.wrong`.
    """
    rows = np.arange(len(labels))
    others = np.array(probabilities, float)
    own = others[rows, labels].copy()
    others[rows, labels] = -1.0
    suggested = others.argmax(axis=1)
    margins = own - others[rows, suggested]
    listed, ranks = [], []
    for label, number in enumerate(most):
        members = np.flatnonzero(labels == label)
        first = members[np.argsort(margins[members], kind="stable")][:number]
        listed.append(first)
        ranks.append(np.arange(1, len(first) + 1))
    chosen = np.concatenate([*listed, np.zeros(0, int)]).astype(int)
    return Suspects(
        chosen,
        suggested[chosen],
        np.concatenate([*ranks, np.zeros(0, int)]).astype(int),
        margins[chosen],
    )
