"""The probes of a run: classifiers on its frozen features, and how sure they should be.

Nothing here sees the test part but to classify it.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.sampling import drawn_shares
from bmjax.evals.calibration import fit_temperature
from bmjax.evals.knn_probe import knn_probabilities
from bmjax.evals.linear_probe import Linear, apply_linear, fit_linear
from bmjax.evals.logistic_probe import fit_logistic
from bmjax.evals.recalibration import recalibrate
from bmjax.evals.subset import held_out
from bmjax.run.run_settings import ProbeSettings

NEIGHBORS = (1, 20)
_OWN = ("augmented_passes", "validation_share")  # keys of config.probe used here
_LOGISTIC = "logistic_"  # and those of the logistic regression


class Probes(NamedTuple):
    """What the probes say of the test images, and of the validation images."""

    probabilities: dict[str, np.ndarray]  # float32 [n, N], by probe
    described: dict[str, dict[str, Any]]  # how a probe's fit ended, for results.json
    trained: np.ndarray  # float [N], shares of the classes that "linear" was trained on
    temperature: float | None  # for "linear"; None: no image was held out
    validation_images: int  # that the temperature was fitted on
    on_validation: dict[str, np.ndarray]  # float32 [V, N], by probe; {}: no such part
    linear: Linear  # the linear probe itself


def fit_probes(
    probe: ProbeSettings,
    classes: int,
    seed: int,
    folder: Path,
    features: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    augmented: Callable[[int], tuple[np.ndarray, np.ndarray]],
) -> Probes:
    """Fit the paper's linear probe, DinoBloom's logistic regression and k-NN.

    The temperature is for the linear probe. Where the run has a validation part, it is
    the one that suits the probe best on these images. Otherwise a second probe, trained
    in the same way on the training images without a held-out share of each class, is
    applied to these, and the temperature that suits them best is taken.

    Args:
        probe: config.probe.
        classes: N.
        seed: of the run.
        folder: where linear.npz goes.
        features: of "train", "test" and, where there is such a part, "validation".
        labels: of the same.
        augmented: passes -> features of augmented training images, pass after pass,
            and their labels.
    """
    settings = dataclasses.asdict(probe)
    passes, share = (settings.pop(name) for name in _OWN)
    logistic = {
        name.removeprefix(_LOGISTIC): settings.pop(name)
        for name in list(settings)
        if name.startswith(_LOGISTIC)
    }
    settings |= {"classes": classes, "seed": seed}
    train = (features["train"], labels["train"])
    fitted_on = augmented(passes) if passes else train
    linear = fit_linear(*fitted_on, **settings)
    np.savez(folder / "linear.npz", **linear._asdict())
    regression = fit_logistic(
        *train,
        classes=classes,
        standardize=settings["standardize"],
        seed=seed,
        **logistic,
    )
    judged = {
        part: {
            "linear": apply_linear(linear, features[part]),
            "logistic": apply_linear(regression.linear, features[part]),
            **_nearest(*train, features[part], classes),
        }
        for part in features
        if part != "train"
    }
    trained = drawn_shares(labels["train"], settings["sampling"], classes=classes)
    natural = drawn_shares(labels["train"], "natural", classes=classes)
    validation = judged.get("validation", {})
    truth, shares = labels["train"][:0], None
    if validation:
        truth, shares = labels["validation"], validation["linear"]
    elif (outside := held_out(labels["train"], share, seed)).any():
        kept = np.flatnonzero(np.tile(~outside, max(passes, 1)))
        part = fit_linear(*fitted_on, rows=kept, **settings)
        shares = apply_linear(part, features["train"])[outside]
        truth = labels["train"][outside]
    temperature = None
    if shares is not None:
        temperature = fit_temperature(truth, recalibrate(shares, trained, natural))
    return Probes(
        judged["test"],
        {
            "logistic": {
                "iterations": regression.iterations,
                "converged": regression.converged,
                "images": regression.images,
            }
        },
        trained,
        temperature,
        len(truth),
        validation,
        linear,
    )


def _nearest(
    train: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    found = knn_probabilities(train, labels, rows, classes=classes, neighbors=NEIGHBORS)
    return {f"knn_{k}": shares for k, shares in found.items()}
