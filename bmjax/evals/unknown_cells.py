"""How far cells are from what a network was trained on: three detectors of features.

Each is fitted on training features and gives a score for each cell; the higher the
score, the less the cell is like the training cells. Features are float [n, F].

None of them can be promised to see cells of another stain or microscope: a network that
was trained on one source alone may place foreign cells among its own
(arXiv 2603.11269).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bmjax.evals.subset import choose_rows

RIDGE = (
    1e-3  # of the mean variance, trace / F, so that the scale is of no account; ours
)
KTH_NEAREST = 20  # as the run's k-NN probe; ours
MOST_KEPT = 10_000  # training features that the nearest are looked for among; ours
_BLOCK = 4096  # rows at a time: bounds the memory


class Mahalanobis(NamedTuple):
    """Class means and the shared covariance of features of length 1."""

    center: np.ndarray  # float32 [F], the mean of the class means, which is subtracted
    means: np.ndarray  # float32 [N, F], whitened; only of classes with training cells
    whitening: np.ndarray  # float32 [F, F]; whitening @ covariance @ whitening.T = 1


class Nearest(NamedTuple):
    """Training features of length 1."""

    kept: np.ndarray  # float16 [m, F]


class Vim(NamedTuple):
    """The space in which training features do not lie, and the classifier."""

    origin: np.ndarray  # float32 [F]
    residual: np.ndarray  # float32 [F, F - P], orthonormal columns
    alpha: float  # logits for a unit of the residual's length
    kernel: np.ndarray  # float32 [F, N]
    bias: np.ndarray  # float32 [N]


def fit_mahalanobis(
    features: np.ndarray, labels: np.ndarray, *, ridge: float = RIDGE
) -> Mahalanobis:
    """Fit Mahalanobis++ (Mueller and Hein 2025, arXiv 2505.18032).

    Features are brought to length 1; the covariance is that of all cells around the
    means of their classes, as Lee et al. (2018) share it.

    Args:
        features: float [n, F], of training cells.
        labels: int [n].
        ridge: added to each variance, times the mean variance.
    """
    present, numbers = np.unique(labels, return_inverse=True)
    width = features.shape[1]
    sums = np.zeros((len(present), width))
    for start, block in _units(features):
        np.add.at(sums, numbers[start : start + len(block)], block)
    means = sums / np.bincount(numbers)[:, None]
    covariance = np.zeros((width, width))
    for start, block in _units(features):
        centered = block - means[numbers[start : start + len(block)]]
        covariance += centered.T @ centered
    covariance /= len(labels)
    whitening = _whitening(covariance, ridge)
    center = means.mean(axis=0)
    arrays = center, (means - center) @ whitening.T, whitening
    return Mahalanobis(*(array.astype(np.float32) for array in arrays))


def mahalanobis_scores(fitted: Mahalanobis, features: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distance to the nearest class mean, float32 [n]."""
    scores = []
    for _, block in _units(features):
        whitened = (block - fitted.center) @ fitted.whitening.T
        scores.append(_squared_distances(whitened, fitted.means).min(axis=1))
    return _joined(scores)


def fit_nearest(
    features: np.ndarray, labels: np.ndarray, *, most: int = MOST_KEPT, seed: int = 0
) -> Nearest:
    """Keep training features, each class in proportion (Sun et al. 2022).

    Args:
        features: float [n, F], of training cells.
        labels: int [n].
        most: about how many are kept.
        seed: of the choice.
    """
    rows = choose_rows(labels, most, seed)
    return Nearest(_unit(np.asarray(features[rows], float)).astype(np.float16))


def nearest_scores(
    fitted: Nearest, features: np.ndarray, *, neighbors: int = KTH_NEAREST
) -> np.ndarray:
    """Distance to the k-th nearest training feature, all of length 1, float32 [n].

    Args:
        fitted: of `fit_nearest`.
        features: float [n, F].
        neighbors: k; the farthest training feature where there are fewer.
    """
    known = fitted.kept.astype(np.float32)
    k = min(neighbors, len(known)) - 1
    scores = [
        np.sqrt(
            np.partition(
                _squared_distances(block.astype(np.float32), known), k, axis=1
            )[:, k]
        )
        for _, block in _units(features)
    ]
    return _joined(scores)


def fit_vim(
    features: np.ndarray, kernel: np.ndarray, bias: np.ndarray, *, principal: int = 0
) -> Vim:
    """Fit virtual-logit matching (Wang et al. 2022, arXiv 2203.10807).

    Args:
        features: float [n, F], of training cells.
        kernel: float [F, N], of the classifier; logits = features @ kernel + bias.
        bias: float [N].
        principal: P, dimensions of the space in which training features lie; 0: F / 2,
            the paper's for networks of few features.
    """
    width = features.shape[1]
    kernel, bias = np.asarray(kernel, float), np.asarray(bias, float)
    origin = -np.linalg.pinv(kernel.T) @ bias
    moment = np.zeros((width, width))
    for block in _blocks(features):
        moment += (block - origin).T @ (block - origin)
    _, vectors = np.linalg.eigh(moment)  # the smallest first
    residual = vectors[:, : width - (principal or width // 2)]
    lengths = largest = 0.0
    for block in _blocks(features):
        lengths += np.linalg.norm((block - origin) @ residual, axis=1).sum()
        largest += (block @ kernel + bias).max(axis=1).sum()
    return Vim(
        origin.astype(np.float32),
        residual.astype(np.float32),
        float(largest / max(lengths, 1e-12)),
        kernel.astype(np.float32),
        bias.astype(np.float32),
    )


def vim_scores(fitted: Vim, features: np.ndarray) -> np.ndarray:
    """The virtual logit less the energy of the classifier's logits, float32 [n]."""
    scores = []
    for block in _blocks(features):
        length = np.linalg.norm((block - fitted.origin) @ fitted.residual, axis=1)
        logits = block @ fitted.kernel + fitted.bias
        highest = logits.max(axis=1, keepdims=True)
        energy = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
        scores.append(fitted.alpha * length - energy)
    return _joined(scores)


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Probability that an unknown cell scores higher than a known one; ties count half.

    Args:
        known: float [n], scores.
        unknown: float [m], scores.
    """
    ordered = np.sort(known)
    below = np.searchsorted(ordered, unknown, side="left")
    upto = np.searchsorted(ordered, unknown, side="right")
    return float((below + upto).mean() / 2 / len(known))


def false_positive_rate(
    known: np.ndarray, unknown: np.ndarray, *, kept: float = 0.95
) -> float:
    """Share of unknown cells that pass as known, where `kept` of the known ones do.

    Args:
        known: float [n], scores.
        unknown: float [m], scores.
        kept: the share of known cells.
    """
    return float(np.mean(unknown <= np.quantile(known, kept)))


def _whitening(covariance: np.ndarray, ridge: float) -> np.ndarray:
    """A matrix A with A.T @ A = (covariance + ridge trace / F)^-1, float64 [F, F]."""
    width = len(covariance)
    # Features that do not vary at all leave the distance to the mean.
    level = ridge * np.trace(covariance) / width or 1.0
    lower = np.linalg.cholesky(covariance + level * np.eye(width))
    return np.linalg.solve(lower, np.eye(width))


def _squared_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    products = rows @ others.T
    lengths = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.maximum(lengths - 2 * products, 0)


def _blocks(features: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(features), _BLOCK):
        yield np.asarray(features[start : start + _BLOCK], float)


def _units(features: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for number, block in enumerate(_blocks(features)):
        yield number * _BLOCK, _unit(block)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _joined(scores: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *scores]).astype(np.float32)
