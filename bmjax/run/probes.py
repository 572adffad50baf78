"""The probes of a run: classifiers on its frozen features, and how sure they should be.

Nothing here sees the test part but to classify it.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.sampling import drawn_shares
from bmjax.evals.calibration import fit_temperature
from bmjax.evals.dinobloom_protocol import (
    DinobloomFit,
    dinobloom_neighbors,
    fit_dinobloom_logistic,
)
from bmjax.evals.knn_probe import knn_probabilities
from bmjax.evals.linear_probe import Linear, apply_linear, fit_linear
from bmjax.evals.logistic_probe import LogisticFit, fit_logistic
from bmjax.evals.recalibration import recalibrate
from bmjax.evals.subset import held_out
from bmjax.files import whole_file, write_cache_note
from bmjax.run.run_settings import ProbeSettings
from bmjax.run.workdir import LINEAR_NOTE

NEIGHBORS = (1, 20)
_OWN = ("augmented_passes", "validation_share")  # keys of config.probe used here
_LOGISTIC = "logistic_"  # and those of the logistic regression
_PROTOCOL = "protocol_"  # and those of a published readout
DINOBLOOM = "dinobloom_"  # before the names of its probes


class Probes(NamedTuple):
    """What the probes say of the test images, and of the validation images."""

    probabilities: dict[str, np.ndarray]  # float32 [n, N], by probe
    described: dict[str, dict[str, Any]]  # how a probe's fit ended, for results.json
    trained: np.ndarray  # float [N], shares of the classes that "linear" was trained on
    temperature: float | None  # for "linear"; None: no image was held out
    held_labels: np.ndarray  # int [V], of the images that it was fitted on
    held_probabilities: np.ndarray  # float32 [V, N], of the same, by "linear"
    on_validation: dict[str, np.ndarray]  # float32 [V, N], by probe; {}: no such part
    linear: Linear  # the linear probe itself


def fit_probes(
    probe: ProbeSettings,
    classes: int,
    seed: int,
    folder: Path,
    features: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    augmented: tuple[np.ndarray, np.ndarray] | None = None,
) -> Probes:
    """Fit the paper's linear probe, a logistic regression, k-NN, a published readout.

    The last one (`config.probe.protocol`) has names of its own and changes no other.

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
        augmented: features of augmented training images, pass after pass, and their
            labels; given where `probe` asks for passes.
    """
    settings = dataclasses.asdict(probe)
    passes, share = (settings.pop(name) for name in _OWN)
    logistic, ending = (
        {
            name.removeprefix(prefix): settings.pop(name)
            for name in list(settings)
            if name.startswith(prefix)
        }
        for prefix in (_LOGISTIC, _PROTOCOL)
    )
    protocol = settings.pop("protocol")
    settings |= {"classes": classes, "seed": seed}
    train = (features["train"], labels["train"])
    fitted_on = augmented or train
    linear = fit_linear(*fitted_on, **settings)
    with whole_file(folder / "linear.npz") as file:
        np.savez(file, **linear._asdict())
    write_cache_note(folder / LINEAR_NOTE, ["linear.npz"])
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
    described = {"logistic": _ended(regression)}
    if protocol == "dinobloom":
        published = fit_dinobloom_logistic(*train, classes=classes, **ending)
        described[DINOBLOOM + "logistic"] = {
            **_ended(published),
            "relative_scaled_gradient": published.scaled_gradient,
            "asked_gradient": ending["gradient"],
        }
        for part, shares in judged.items():
            nearest = dinobloom_neighbors(*train, features[part], classes=classes)
            shares[DINOBLOOM + "logistic"] = apply_linear(
                published.linear, features[part]
            )
            shares |= {f"{DINOBLOOM}knn_{k}": found for k, found in nearest.items()}
    trained = drawn_shares(labels["train"], settings["sampling"], classes=classes)
    natural = drawn_shares(labels["train"], "natural", classes=classes)
    validation = judged.get("validation", {})
    truth, shares = labels["train"][:0], np.zeros((0, classes), np.float32)
    if validation:
        truth, shares = labels["validation"], validation["linear"]
    elif (outside := held_out(labels["train"], share, seed)).any():
        kept = np.flatnonzero(np.tile(~outside, max(passes, 1)))
        part = fit_linear(*fitted_on, rows=kept, **settings)
        shares = apply_linear(part, features["train"])[outside]
        truth = labels["train"][outside]
    temperature = None
    if len(truth):
        temperature = fit_temperature(truth, recalibrate(shares, trained, natural))
    return Probes(
        judged["test"],
        described,
        trained,
        temperature,
        truth,
        shares,
        validation,
        linear,
    )


def protocol_note(described: dict[str, dict[str, Any]]) -> list[str]:
    """A sentence on how the published readout's fit ended, where there is one.

    Args:
        described: of `Probes`.
    """
    ended = described.get(DINOBLOOM + "logistic")
    if ended is None:
        return []
    how = "as asked for" if ended["converged"] else "where more were not allowed"
    return [
        f"DinoBloom's logistic regression ended after {ended['iterations']:,} "
        f"iterations, {how}, with a gradient {ended['relative_gradient']:.2g} times as "
        f"long as at zero, {ended['relative_scaled_gradient']:.2g} times for scaled "
        f"features (config.probe.protocol_gradient = {ended['asked_gradient']:g})."
        + ("" if ended["converged"] else " It has not converged.")
    ]


def _ended(fit: LogisticFit | DinobloomFit) -> dict[str, Any]:
    """How a regression ended, for results.json."""
    return {
        "iterations": fit.iterations,
        "converged": fit.converged,
        "images": fit.images,
        "relative_gradient": fit.gradient,
    }


def _nearest(
    train: np.ndarray, labels: np.ndarray, rows: np.ndarray, classes: int
) -> dict[str, np.ndarray]:
    found = knn_probabilities(train, labels, rows, classes=classes, neighbors=NEIGHBORS)
    return {f"knn_{k}": shares for k, shares in found.items()}
