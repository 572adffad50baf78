"""Logistic regression on frozen features by L-BFGS, as DinoBloom probes them."""

from typing import NamedTuple

import numpy as np

from bmjax.evals.linear_probe import Linear, moments, softmax
from bmjax.evals.subset import choose_rows

_BLOCK = 4096  # rows looked at at a time: bounds the memory
_GRADIENT = 1e-4  # greatest entry at which it ends; scikit-learn's default
_CHANGE = 1e-8  # of the objective, relative; what means of float32 losses tell apart


class LogisticFit(NamedTuple):
    """A fitted classifier and how its fit ended."""

    linear: Linear
    iterations: int
    converged: bool
    images: int  # it was fitted on
    gradient: float  # length of the gradient at the end, relative to the start's


def fit_logistic(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    strength: float = 0.0,
    iterations: int = 1000,
    images: int = 0,
    standardize: bool = False,
    scale: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> LogisticFit:
    """Minimize the cross-entropy with a squared penalty on the kernel.

    The objective is scikit-learn's, sum of losses + |kernel|^2 / (2 strength), with a
    bias that is not penalized, from zero. DinoBloom (marrlab/DinoBloom,
    general_fixed_split_patch_eval.py) takes features as they are, 1000 iterations and
    a strength of F N / 100. Each iteration reads all features once, a block of rows at
    a time: memory stays bounded, features may be mapped from disk.

    Args:
        features: float32 [n, F].
        labels: int [n].
        classes: N; one without images gets a bias that makes it improbable.
        strength: "C" in scikit-learn; 0: F N / 100, N counting the classes with images.
        iterations: at most; `converged` says whether they were enough.
        images: rows to fit on at most, every class kept in proportion; 0: all.
        standardize: first give every feature mean 0 and deviation 1.
        scale: mean and deviation [F] to standardize by, in the place of the rows' own.
        seed: of the choice of rows.
    """
    from scipy.optimize import minimize

    width = features.shape[1]
    rows = choose_rows(labels, images, seed) if images else np.arange(len(labels))
    labels = np.asarray(labels)[rows]
    strength = strength or width * len(np.unique(labels)) / 100
    mean, std = np.zeros(width, np.float32), np.ones(width, np.float32)
    if scale is not None:
        mean, std = scale
    elif standardize:
        mean, std = moments(features, rows)
    scaled = standardize or scale is not None
    penalty = 1 / (strength * len(rows))

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(width + 1, classes)
        kernel, bias = weights[:-1].astype(np.float32), weights[-1].astype(np.float32)
        loss, gradient = 0.0, np.zeros_like(weights)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            inputs = np.asarray(features[block], np.float32)
            if scaled:
                inputs = (inputs - mean) / std
            logits = inputs @ kernel + bias
            shares = softmax(logits)
            here = np.arange(len(block)), labels[start : start + _BLOCK]
            top = logits.max(axis=1)
            total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
            loss += float(np.sum(total - logits[here], dtype=np.float64))
            shares[here] -= 1
            gradient[:-1] += inputs.T @ shares
            gradient[-1] += shares.sum(axis=0, dtype=np.float64)
        gradient /= len(rows)
        gradient[:-1] += penalty * weights[:-1]
        return (
            loss / len(rows) + penalty / 2 * float(np.sum(weights[:-1] ** 2)),
            gradient.ravel(),
        )

    origin = np.zeros((width + 1) * classes)
    found = minimize(
        objective,
        origin,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": iterations,
            "maxfun": 2 * iterations,
            "gtol": _GRADIENT,
            "ftol": _CHANGE,
        },
    )
    weights = found.x.reshape(width + 1, classes).astype(np.float32)
    linear = Linear(kernel=weights[:-1], bias=weights[-1], mean=mean, std=std)
    first, last = (np.linalg.norm(g) for g in (objective(origin)[1], found.jac))
    return LogisticFit(
        linear,
        int(found.nit),
        bool(found.status == 0),
        len(rows),
        float(last / first) if first else 0.0,
    )
