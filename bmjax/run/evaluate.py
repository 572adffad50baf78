"""Evaluate a trained state: features, probes, metrics, and the files that hold them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bmjax.data.class_shares import loss_shares, network_prior
from bmjax.data.images.catalog import Catalog
from bmjax.data.pipeline import Replaced
from bmjax.data.sampling import drawn_shares
from bmjax.data.splits.make_split import counts
from bmjax.devices.jax_setup import versions
from bmjax.devices.mesh import own_copy, results_for_host
from bmjax.devices.processes import is_first
from bmjax.evals.assess import assess
from bmjax.evals.calibration import fit_temperature
from bmjax.evals.calibration_file import (
    HELD_OUT_SHARE,
    VALIDATION_PART,
    Calibration,
    write_calibration,
)
from bmjax.evals.classification import classification_metrics
from bmjax.evals.detector_file import fit_detector, write_detector
from bmjax.evals.linear_probe import softmax
from bmjax.evals.predictions import Predictions, write_predictions
from bmjax.evals.prototypes import prototype_atlas
from bmjax.evals.recalibration import recalibrate, recalibrated_metrics
from bmjax.evals.tsne import embed_2d
from bmjax.files import plain_cell, write_csv, write_json
from bmjax.methods import METHODS
from bmjax.models import feature_settings
from bmjax.report import write_report
from bmjax.run.build import BuiltRun, RunData, make_prepare
from bmjax.run.class_lineages import class_lineages
from bmjax.run.frozen_features import augmented_features, part_features
from bmjax.run.logs import say
from bmjax.run.probes import Probes, fit_probes, protocol_note
from bmjax.run.run_saliency import map_mistakes
from bmjax.run.run_settings import Settings
from bmjax.run.validation import Chosen
from bmjax.run.validation_results import validation_results
from bmjax.training import checkpoint
from bmjax.training.optimizer import count_parameters
from bmjax.training.step import TrainState, make_predict_step

# Of `assess`, what results.json says elsewhere or keeps together.
_SETTINGS = ("level", "draws", "seed")
_ELSEWHERE = ("images", "classes", *_SETTINGS)


def evaluate_run(
    run: BuiltRun,
    chosen: Chosen,
    workdir: Path,
    *,
    seconds: float,
    replaced: Replaced,
    notes: Sequence[str] = (),
) -> tuple[Path, dict[str, Any]] | None:
    """Evaluate the chosen state; write predictions, embedding, results and the report.

    A method with a classifier is evaluated by it, any other by the linear probe on
    frozen features. The report is written last: where it is, the run is complete.
    Several processes share the features out; all else is the first one's.

    Args:
        run: the run.
        chosen: the state, and by what it was chosen.
        workdir: of the run.
        seconds: that training took.
        replaced: counts unreadable training images.
        notes: sentences on the run that its results and page repeat.

    Returns:
        the report's path, and the content of results.json; None in all processes but
        the first.
    """
    settings, data, learner = run.settings, run.data, run.learner
    state, classes = chosen.state, data.catalog.classes
    digest = checkpoint.digest(state.params)
    parts = ("train", "test", *(["validation"] if len(data.validation) else []))
    labels = {part: data.catalog.labels[data.positions(part)] for part in parts}
    features, logits = {}, {}
    folder = workdir / "features"
    folder.mkdir(exist_ok=True)
    predict = jax.jit(
        make_predict_step(learner.method, make_prepare(settings.data)),
        out_shardings=results_for_host(run.mesh),
    )
    for part in parts:
        features[part], logits[part] = part_features(
            data,
            settings.data,
            run.mesh,
            state,
            predict,
            folder,
            part,
            digest,
            replaced,
        )
    augmented, passes = None, settings.probe.augmented_passes
    if passes:
        augmented = augmented_features(
            data, settings.data, run.mesh, learner, state, folder, passes, replaced
        )
    if not is_first():
        return None
    state = own_copy(state, run.mesh)
    probes = fit_probes(
        settings.probe,
        len(classes),
        settings.seed,
        folder,
        features,
        labels,
        augmented,
    )
    notes = [*notes, *protocol_note(probes.described)]
    for sentence in protocol_note(probes.described):
        say(sentence)
    predictor, probabilities = "linear", probes.probabilities["linear"]
    if logits["test"] is not None:
        predictor, probabilities = "classifier", softmax(logits["test"])
    predictions = Predictions(
        paths=tuple(data.catalog.paths[position] for position in data.split.test),
        classes=tuple(classes),
        labels=labels["test"],
        predicted=probabilities.argmax(axis=1),
        probabilities=probabilities,
    )

    paths = predictions.paths
    names = [classes[label] for label in labels["test"]]
    write_predictions(workdir / "predictions.csv", paths, names, probabilities, classes)
    rows, places = embed_2d(
        features["test"],
        labels["test"],
        seed=settings.seed,
        images=settings.tsne.images,
        perplexity=settings.tsne.perplexity,
    )
    write_csv(
        workdir / "embedding.csv",
        ("path", "label", "x", "y"),
        [
            (*map(plain_cell, (paths[row], names[row])), f"{x:.4f}", f"{y:.4f}")
            for row, (x, y) in zip(rows, places, strict=True)
        ],
    )
    _write_atlas(data, state, workdir, folder, labels["train"])
    map_mistakes(run, state, predictions, probes.linear, workdir, replaced)
    metrics = assess(
        predictions,
        train_counts=counts(data.catalog, data.split.train),
        seed=settings.seed,
    )
    calibration = _calibration(run, labels, probes, logits, digest)
    write_calibration(workdir, calibration)
    write_detector(
        workdir,
        fit_detector(
            features["train"], labels["train"], features.get("validation"), digest
        ),
    )
    recalibrated = _recalibrated(labels["test"], predictions, calibration)
    results = {
        **_described(run),
        "predictor": predictor,
        **_kept_metrics(
            metrics, recalibrated, notes, validated=bool(len(data.validation))
        ),
        "probe": {
            name: {
                **_averages(labels["test"], shares, classes),
                **probes.described.get(name, {}),
            }
            for name, shares in probes.probabilities.items()
        },
        "validation": validation_results(
            settings, data, chosen, probes.on_validation, logits.get("validation")
        ),
        "seconds": seconds,
        "images_per_second": (
            run.length.steps * settings.data.batch_size / seconds if seconds else None
        ),
        "parameters": count_parameters(state.params),
        "params_sha256": digest,
    }
    write_json(workdir / "results.json", results)
    page = write_report(workdir, predictions=predictions, metrics=metrics)
    return page, results


def _described(run: BuiltRun) -> dict[str, Any]:
    """What was run, on what, with what."""
    settings, data = run.settings, run.data
    return {
        "method": settings.method_name,
        "method_title": METHODS[settings.method_name].title,
        "network": settings.model.name,
        "lineages": _lineages(settings, data),
        **feature_settings(
            settings.model.name,
            pooling=settings.model.pooling,
            interpolation=settings.model.interpolation,
        ),
        "split": settings.data.split,
        "fold": settings.data.fold,
        "pretrained_on": settings.data.pretrain_on,
        "n_train": len(data.split.train),
        "n_test": len(data.split.test),
        "train_counts": counts(data.catalog, data.split.train),
        "test_counts": counts(data.catalog, data.split.test),
        "steps": run.length.steps,
        "devices": run.mesh.size,
        "data_fingerprint": data.catalog.fingerprint,
        "split_digest": data.split_digest,
        **_corrected(settings.data.labels, data.catalog),
        "versions": versions(),
    }


def _corrected(file: str, catalog: Catalog) -> dict[str, Any]:
    """Which labels of the folders were corrected, where some were."""
    if not catalog.corrections:
        return {}
    labels = {
        "file": Path(file).name,
        "digest": catalog.corrections,
        "corrected": int((catalog.labels != catalog.filed).sum()),
        "left_out": len(catalog.left_out),
    }
    return {"labels": labels}


def _lineages(settings: Settings, data: RunData) -> dict[str, str] | None:
    """The lineage of each class, where the classifier has some."""
    table, classes = settings.model.lineages, data.catalog.classes
    if not table:
        return None
    return dict(zip(classes, class_lineages(classes, table), strict=True))


def _kept_metrics(
    metrics: dict[str, Any],
    recalibrated: dict[str, Any],
    of_run: Sequence[str],
    *,
    validated: bool,
) -> dict[str, Any]:
    """What results.json keeps of `assess`, with what recalibration would gain."""
    notes = [*metrics["notes"], *of_run]
    if recalibrated["temperature"] and not validated:
        notes.append(
            "The temperature was fitted on training images that the linear probe had "
            "not seen but the backbone had, SupCon's with their labels: on new images "
            "probabilities may still be too sure."
        )
    return {
        **{key: value for key, value in metrics.items() if key not in _ELSEWHERE},
        "calibration": metrics["calibration"] | recalibrated,
        "notes": notes,
        "assessment": {key: metrics[key] for key in _SETTINGS},
    }


def _calibration(
    run: BuiltRun,
    labels: dict[str, np.ndarray],
    probes: Probes,
    logits: dict[str, np.ndarray | None],
    digest: str,
) -> Calibration:
    """The validation cells as the predictor names them, and what calibrates it."""
    classes = run.data.catalog.classes
    natural = drawn_shares(labels["train"], "natural", classes=len(classes))
    validated = "validation" in labels
    if logits["test"] is None:
        trained, temperature = probes.trained, probes.temperature
        truth, shares = probes.held_labels, probes.held_probabilities
    else:
        # A classifier has learned all training images: only others can validate it.
        trained = _trained_prior(run.settings, run.data)
        truth, temperature = labels["train"][:0], None
        shares = np.zeros((0, len(classes)), np.float32)
        own = logits.get("validation")
        if own is not None:
            truth, shares = labels["validation"], softmax(own)
            temperature = fit_temperature(truth, recalibrate(shares, trained, natural))
    return Calibration(
        probabilities=np.asarray(shares, np.float32),
        labels=np.asarray(truth, np.int64),
        classes=tuple(classes),
        trained_prior=np.asarray(trained, float),
        train_shares=np.asarray(natural, float),
        temperature=float("nan") if temperature is None else temperature,
        digest=digest,
        held_out=VALIDATION_PART if validated else HELD_OUT_SHARE,
    )


def _recalibrated(
    labels: np.ndarray, predictions: Predictions, calibration: Calibration
) -> dict[str, Any]:
    """What a corrected prior and a temperature would gain on the test part."""
    return recalibrated_metrics(
        labels,
        predictions.probabilities,
        calibration.classes,
        trained=calibration.trained_prior,
        used=calibration.train_shares,
        temperature=calibration.temperature if len(calibration.labels) else None,
        validation_images=len(calibration.labels),
    )


def _trained_prior(settings: Settings, data: RunData) -> np.ndarray:
    """The prior that the classifier's probabilities have, float [N]."""
    shares = loss_shares(
        counts(data.catalog, data.split.train),
        settings.data.sampling,
        getattr(settings.method, "class_weights", "none"),
    )
    return network_prior(shares, getattr(settings.method, "logit_adjustment", 0.0))


def _averages(
    labels: np.ndarray, shares: np.ndarray, classes: tuple[str, ...]
) -> dict[str, Any]:
    figures = classification_metrics(labels, shares.argmax(axis=1), classes)
    return {name: value for name, value in figures.items() if name != "per_class"}


def _write_atlas(
    data: RunData, state: TrainState, workdir: Path, folder: Path, labels: np.ndarray
) -> None:
    """Describe the prototypes of a method that has them, by the training images."""
    if "prototypes" not in state.params:
        return
    atlas = prototype_atlas(
        np.load(folder / "train_embeddings.npy", mmap_mode="r"),
        jax.device_get(state.params["prototypes"]),
        labels,
        [data.catalog.paths[position] for position in data.split.train],
        data.catalog.classes,
    )
    write_json(workdir / "atlas.json", {"part": "train", **atlas})
