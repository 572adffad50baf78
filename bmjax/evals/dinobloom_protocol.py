"""DinoBloom's readout of frozen features, as its code does it.

marrlab/DinoBloom, dinov2/eval/general_fixed_split_patch_eval.py: features as they are,
all training images; logistic regression of strength C = features x classes / 100; 1 and
20 nearest neighbors by Euclidean distance, each with one vote. Its regression stops
where scikit-learn's solver does, which since scikit-learn 1.4 is by the mean gradient
and earlier than then; here it goes on to a stated length of the gradient.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bmjax.evals.linear_probe import Linear, softmax

_NEIGHBORS = (1, 20)  # DinoBloom
_BLOCK = 4096  # rows looked at at a time: bounds the memory


class DinobloomFit(NamedTuple):
    """A fitted logistic regression and how its fit ended.

    Attributes:
        linear: the classifier.
        iterations: of L-BFGS.
        converged: whether both lengths are as short as was asked for.
        images: it was fitted on.
        gradient: length of the gradient at the end, relative to that at zero.
        scaled_gradient: the same in coordinates in which the features are uncorrelated
            and of one size.
    """

    linear: Linear
    iterations: int
    converged: bool
    images: int
    gradient: float
    scaled_gradient: float


def fit_dinobloom_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    gradient: float,
    iterations: int,
) -> DinobloomFit:
    """Minimize sum of cross-entropies + |kernel|^2 / (2 C), C = F N / 100, in float64.

    The bias is not penalized; N counts the classes with images. L-BFGS begins at zero
    and ends where the gradient is `gradient` times as long as there, in two ways: as it
    is, and in coordinates in which the features are uncorrelated and of one size. As it
    is, a few features of a large mean decide its length, and it is short long before
    the others are used. L-BFGS moves in these coordinates too, which takes tens of
    iterations where it would take thousands; objective and minimum are the same.

    Args:
        features: float32 [n, F], may be mapped from disk; read once an iteration.
        labels: int [n].
        classes: number of outputs; a class without images has a probability of 0.
        gradient: both lengths at which to end, relative to those at zero.
        iterations: at most; `converged` says whether they were enough.
    """
    from scipy.optimize import minimize

    present, targets = np.unique(labels, return_inverse=True)
    count, width = len(labels), features.shape[1]
    strength = width * len(present) / 100
    penalty = np.append(np.full(width, 1 / (strength * count)), 0.0)[:, None]

    # Weights are [features and bias, classes]. Near zero the Hessian of class k is
    # share_k (1 - share_k) times this moment, and the penalty.
    moment = np.zeros((width + 1, width + 1))
    for block, _ in _blocks(features, targets):
        moment += block.T @ block
    sizes, axes = np.linalg.eigh(moment / count)
    shares = np.bincount(targets) / count
    curvature = np.outer(np.maximum(sizes, 0.0), shares * (1 - shares))
    scale = 1 / np.sqrt(curvature + penalty[0] + 1e-12 * curvature.max())

    lengths: dict[str, np.ndarray] = {}  # as it is, and in the scaled coordinates

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = axes @ (scale * flat.reshape(scale.shape))
        loss, slope = 0.0, np.zeros_like(weights)
        for block, known in _blocks(features, targets):
            logits = block @ weights
            logits -= logits.max(axis=1, keepdims=True)
            total = np.log(np.exp(logits).sum(axis=1))
            rows = np.arange(len(block))
            loss += float((total - logits[rows, known]).sum())
            errors = softmax(logits)
            errors[rows, known] -= 1
            slope += block.T @ errors
        slope = slope / count + penalty * weights
        scaled = (scale * (axes.T @ slope)).ravel()
        lengths["last"] = np.array([np.linalg.norm(slope), np.linalg.norm(scaled)])
        lengths.setdefault("first", lengths["last"])
        value = loss / count + float((penalty * weights**2).sum()) / 2
        return value, scaled

    def reached() -> bool:
        return bool((lengths["last"] <= gradient * lengths["first"]).all())

    def stop_when_reached(flat: np.ndarray) -> None:
        del flat  # the last point that was looked at
        if reached():
            raise StopIteration

    solution = minimize(
        objective,
        np.zeros(scale.size),
        jac=True,
        method="L-BFGS-B",
        callback=stop_when_reached,
        options={
            "maxiter": iterations,
            "maxfun": 4 * iterations,
            "gtol": 0.0,
            "ftol": 0.0,
        },
    )
    objective(solution.x)
    weights = axes @ (scale * solution.x.reshape(scale.shape))
    kernel = np.zeros((width, classes), np.float32)
    bias = np.full(classes, -np.inf, np.float32)
    kernel[:, present], bias[present] = weights[:-1], weights[-1]
    plain = np.zeros(width, np.float32), np.ones(width, np.float32)
    relative = lengths["last"] / np.maximum(lengths["first"], np.finfo(float).tiny)
    return DinobloomFit(
        Linear(kernel, bias, *plain),
        int(solution.nit),
        reached(),
        count,
        float(relative[0]),
        float(relative[1]),
    )


def dinobloom_neighbors(
    train: np.ndarray, train_labels: np.ndarray, rows: np.ndarray, *, classes: int
) -> dict[int, np.ndarray]:
    """Share of each class among the nearest training images, by Euclidean distance.

    scikit-learn's KNeighborsClassifier: each neighbor has one vote, and of classes with
    equally many the first wins.

    Args:
        train: float32 [n, F].
        train_labels: int [n].
        rows: float32 [m, F].
        classes: N.

    Returns:
        for 1 and 20, float32 [m, N]; rows sum to 1.
    """
    from sklearn.neighbors import NearestNeighbors

    most = min(max(_NEIGHBORS), len(train))
    index = NearestNeighbors(n_neighbors=most, algorithm="brute").fit(train)
    found = np.concatenate(
        [
            index.kneighbors(rows[start : start + _BLOCK], return_distance=False)
            for start in range(0, len(rows), _BLOCK)
        ]
    )
    votes = np.eye(classes, dtype=np.float32)[np.asarray(train_labels)[found]]
    return {k: votes[:, :k].mean(axis=1) for k in _NEIGHBORS}


def _blocks(
    features: np.ndarray, targets: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows with a 1 behind their features, float64 [up to _BLOCK, F + 1]; targets."""
    for start in range(0, len(targets), _BLOCK):
        block = np.asarray(features[start : start + _BLOCK], np.float64)
        yield (
            np.concatenate([block, np.ones((len(block), 1))], axis=1),
            targets[start : start + _BLOCK],
        )
