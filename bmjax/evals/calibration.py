"""Whether probabilities mean what they say, and two ways to mend them.

Calibrated is a system of whose predictions with probability p a fraction p is correct
(Guo et al. 2017). Probabilities are float [n, N], rows summing to 1; labels int [n].
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.evals.intervals import clopper_pearson

BINS = 15  # Guo et al. 2017
_TEMPERATURES = (0.02, 50.0)  # looked through for the best one; ours
_SMALLEST = (
    1e-38  # float32's: the logarithm of a probability of 0 has to be some number
)


def calibration_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    bins: int = BINS,
    level: float = 0.95,
) -> dict[str, Any]:
    """Calibration errors, scores and the two reliability diagrams, ready for JSON.

    The negative log-likelihood is None where an image's class got probability 0, which
    makes it infinite; `impossible` counts such images.
    """
    confidence, correct = top_label(labels, probabilities)
    present = np.isin(np.arange(len(classes)), labels)
    by_class = [
        calibration_error(probabilities[:, number], labels == number, bins=bins)
        if present[number]
        else None
        for number in range(len(classes))
    ]
    held = [error for error in by_class if error is not None]
    impossible = int(np.sum(_of_labels(labels, probabilities) == 0))
    return {
        "bins": bins,
        "ece": calibration_error(confidence, correct, bins=bins),
        "ece_equal_mass": calibration_error(confidence, correct, bins=bins, by="mass"),
        "classwise_ece": float(np.mean(held)),
        "classwise_ece_per_class": dict(zip(classes, by_class, strict=True)),
        "brier": brier_score(labels, probabilities),
        "nll": None if impossible else negative_log_likelihood(labels, probabilities),
        "impossible": impossible,
        "mean_confidence": float(confidence.mean()),
        "accuracy": float(correct.mean()),
        "reliability": reliability(confidence, correct, bins=bins, level=level),
        "reliability_equal_mass": reliability(
            confidence, correct, bins=bins, by="mass", level=level
        ),
    }


def top_label(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The highest probability of each image, and whether it is its class's."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def reliability(
    confidence: np.ndarray,
    correct: np.ndarray,
    *,
    bins: int = BINS,
    by: str = "width",
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """The reliability diagram: what is said and what is so, bin by bin.

    Args:
        confidence: float [n], probabilities of something.
        correct: bool [n], whether it was so.
        bins: how many; bins without images are left out.
        by: "width": bins of equal width from 0 to 1; "mass": of as many images each,
            equal probabilities kept together.
        level: of the exact intervals of the rates.

    Returns:
        for each bin `low` and `high` (of the probabilities), `images`, the mean
        `confidence`, the fraction that is so, `accuracy`, and its `interval`.
    """
    number, edges = _bin_numbers(confidence, bins, by)
    images = np.bincount(number, minlength=len(edges) - 1)
    said = np.bincount(number, confidence, minlength=len(images))
    so = np.bincount(number, correct, minlength=len(images))
    low, high = clopper_pearson(so, images, level=level)
    return [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "images": int(images[i]),
            "confidence": float(said[i] / images[i]),
            "accuracy": float(so[i] / images[i]),
            "interval": [float(low[i]), float(high[i])],
        }
        for i in np.flatnonzero(images)
    ]


def calibration_error(
    confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS, by: str = "width"
) -> float:
    """Expected calibration error: |said - so|, averaged over images bin by bin.

    Of the highest probability it is the ECE of Naeini et al. (2015) and Guo et al.
    (2017); of one class's probability, a term of the class-wise ECE (Kull et al. 2019).
    It is never below 0 by chance: with few images it is too high.
    """
    number, _ = _bin_numbers(confidence, bins, by)
    gap = np.bincount(number, np.asarray(confidence, float) - correct)
    return float(np.abs(gap).sum() / len(confidence))


def brier_score(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance to the truth, summed over classes: 0 to 2 (Brier 1950)."""
    squares = (probabilities.astype(float) ** 2).sum(axis=1)
    return float(np.mean(squares - 2 * _of_labels(labels, probabilities) + 1))


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean of -ln p of the images' classes, in nats."""
    of_labels = np.maximum(_of_labels(labels, probabilities), _SMALLEST)
    return float(-np.mean(np.log(of_labels)))


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature that suits a validation part best (Guo et al. 2017).

    It minimizes the negative log-likelihood of softmax(ln p / T), which is convex in
    1 / T. Fit it on images that neither training nor the test part holds. Above 1 the
    system was too sure.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(probabilities.astype(float), _SMALLEST))
    logits -= logits.max(axis=1, keepdims=True)
    of_labels = _of_labels(labels, logits)

    def loss(log_inverse: float) -> float:
        inverse = np.exp(log_inverse)
        total = np.log(np.exp(inverse * logits).sum(axis=1))
        return float(np.mean(total - inverse * of_labels))

    low, high = (float(-np.log(t)) for t in reversed(_TEMPERATURES))
    solution = minimize_scalar(
        loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(-solution.x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(ln p / T), float32 [n, N]; the most probable class stays so."""
    logits = np.log(np.maximum(probabilities.astype(float), _SMALLEST)) / temperature
    return _normalized(np.exp(logits - logits.max(axis=1, keepdims=True)))


def correct_prior(
    probabilities: np.ndarray, trained: np.ndarray, used: np.ndarray
) -> np.ndarray:
    """Probabilities for another prior of the classes than that of training.

    p'(c | x) is proportional to p(c | x) used(c) / trained(c) (Saerens et al. 2002;
    Elkan 2001): exact where cells of a class look alike in both. After training with
    classes drawn evenly, `trained` is 1 / N each.

    Args:
        probabilities: float [n, N].
        trained: float [N], the prior in training, as the classes were drawn.
        used: float [N], the prior where the system is used.

    Raises:
        ValueError: a class that is used was never trained on.
    """
    trained, used = np.asarray(trained, float), np.asarray(used, float)
    if np.any((trained <= 0) & (used > 0)):
        raise ValueError("a class that is used must be drawn in training")
    weights = np.divide(used, trained, out=np.zeros_like(used), where=trained > 0)
    return _normalized(probabilities * weights)


def estimate_prior(
    probabilities: np.ndarray, trained: np.ndarray, *, rounds: int = 10_000
) -> np.ndarray:
    """The prior of the classes among images without labels (Saerens et al. 2002, EM).

    It ends when the mean logarithm of the likelihood rises by less than 1e-12 in a
    round: an absolute change of the prior would stop before rare classes have moved.

    Args:
        probabilities: float [n, N], of a calibrated system.
        trained: float [N], the prior in training.
        rounds: at most.

    Returns:
        float [N], the maximum-likelihood prior; a class without prior stays at 0.
    """
    trained = np.asarray(trained, float)
    ratio = np.divide(
        probabilities, trained, out=np.zeros(probabilities.shape), where=trained > 0
    )
    used, before = trained / trained.sum(), -np.inf
    for _ in range(rounds):
        joint = ratio * used
        evidence = np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        used = (joint / evidence).mean(axis=0)
        used /= used.sum()
        likelihood = float(np.log(evidence).mean())
        if likelihood - before < 1e-12:
            break
        before = likelihood
    return used


def _bin_numbers(
    confidence: np.ndarray, bins: int, by: str
) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each probability, and the bins' edges; bins are open at the left."""
    if by == "mass":
        inner = np.quantile(confidence, np.linspace(0, 1, bins + 1), method="lower")
        edges = np.unique(np.concatenate([[0.0], inner[1:-1], [1.0]]))
    else:
        edges = np.linspace(0, 1, bins + 1)
    return np.clip(np.searchsorted(edges, confidence) - 1, 0, len(edges) - 2), edges


def _of_labels(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values[np.arange(len(labels)), labels].astype(float)


def _normalized(weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1, keepdims=True)
    return (weights / np.maximum(total, _SMALLEST)).astype(np.float32)
