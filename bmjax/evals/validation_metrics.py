"""How good features are, by metrics of a validation part."""

from collections.abc import Sequence

import numpy as np

from bmjax.evals.classification import classification_metrics
from bmjax.evals.knn_probe import knn_probabilities
from bmjax.evals.linear_probe import apply_linear
from bmjax.evals.logistic_probe import fit_logistic

NEAREST = 20  # DINO (Caron et al. 2021): consistently the best k
SHOWN = ("accuracy", "balanced_accuracy", "macro_f1")


def validation_metrics(
    train: np.ndarray,
    train_labels: np.ndarray,
    validation: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    logits: np.ndarray | None = None,
    iterations: int = 200,
    seed: int = 0,
) -> dict[str, float]:
    """Evaluate features by two probes of training images, and a classifier by itself.

    The probes are 20-NN by cosine and a logistic regression on standardized features
    (ours: so that few iterations suit any network). Averages run over the classes that
    have validation images.

    Args:
        train: float32 [n, F], features of training images.
        train_labels: int [n].
        validation: float32 [V, F], features of validation images.
        labels: int [V].
        classes: names, by number.
        logits: float32 [V, N], the network's own, where it has a classifier.
        iterations: of the logistic regression, at most.
        seed: of the run.

    Returns:
        metrics by "predictor/metric": "knn_20", "logistic" and "classifier" with each
        of SHOWN.
    """
    nearest = knn_probabilities(
        train,
        train_labels,
        validation,
        classes=len(classes),
        neighbors=(NEAREST,),
    )[NEAREST]
    regression = fit_logistic(
        train,
        train_labels,
        classes=len(classes),
        iterations=iterations,
        standardize=True,
        seed=seed,
    )
    scores = {
        f"knn_{NEAREST}": nearest,
        "logistic": apply_linear(regression.linear, validation),
    }
    if logits is not None:
        scores = {"classifier": logits, **scores}
    metrics = {}
    for predictor, rows in scores.items():
        found = classification_metrics(labels, rows.argmax(axis=1), classes)
        metrics |= {f"{predictor}/{name}": float(found[name]) for name in SHOWN}
    return metrics
