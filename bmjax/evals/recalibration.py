"""Probabilities mended, and what that gains, ready for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.evals.calibration import (
    apply_temperature,
    calibration_metrics,
    correct_prior,
)
from bmjax.evals.classification import common_classes, number_or_none
from bmjax.evals.confusion import AVERAGES, averages, confusion_matrix

_SHOWN = ("ece", "ece_equal_mass", "classwise_ece", "brier", "nll", "reliability")


def recalibrate(
    probabilities: np.ndarray,
    trained: np.ndarray,
    used: np.ndarray,
    *,
    temperature: float | None = None,
) -> np.ndarray:
    """Correct the prior of the classes where it differs, then the temperature.

    Args:
        probabilities: float [n, N].
        trained: float [N], the prior of the classes as training drew them.
        used: float [N], the prior in use.
        temperature: None: it is left alone.
    """
    if not np.allclose(trained, used):
        probabilities = correct_prior(probabilities, trained, used)
    if temperature is not None:
        probabilities = apply_temperature(probabilities, temperature)
    return probabilities


def recalibrated_metrics(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    trained: np.ndarray,
    used: np.ndarray,
    temperature: float | None,
    validation_images: int,
    level: float = 0.95,
) -> dict[str, Any]:
    """What prior correction and temperature scaling make of a system's calibration.

    Args:
        labels: int [n], of the test part.
        probabilities: float [n, N], as the system gives them.
        classes: names, by number.
        trained: float [N], the prior of the classes as training drew them.
        used: float [N], the prior expected in use: that of the training images, not of
            the test part.
        temperature: fitted on a validation part; None: there is none.
        validation_images: images of it.
        level: of the intervals.

    Returns:
        `prior_correction`: the priors `trained` and `used` and metrics after it, None
        where they are the same; `temperature`: `value`, `validation_images` and metrics
        after both, None where there is none.
    """

    def metrics(mended: np.ndarray) -> dict[str, Any]:
        confusion = confusion_matrix(labels, mended.argmax(axis=1), len(classes))
        means = averages(confusion, common_classes(confusion.sum(axis=1)))
        calibration = calibration_metrics(labels, mended, classes, level=level)
        return {
            **{n: number_or_none(m) for n, m in zip(AVERAGES, means, strict=True)},
            **{name: calibration[name] for name in _SHOWN},
        }

    prior = scaled = None
    if not np.allclose(trained, used):
        prior = {
            "trained": dict(zip(classes, trained.tolist(), strict=True)),
            "used": dict(zip(classes, used.tolist(), strict=True)),
            **metrics(recalibrate(probabilities, trained, used)),
        }
    if temperature is not None:
        scaled = {
            "value": temperature,
            "validation_images": validation_images,
            **metrics(
                recalibrate(probabilities, trained, used, temperature=temperature)
            ),
        }
    return {"prior_correction": prior, "temperature": scaled}
