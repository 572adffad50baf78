"""The end of a run: features, probes, figures, and the files that hold them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bmjax import checkpoint
from bmjax.build import Run, make_prepare
from bmjax.data.folds import counts
from bmjax.data.pipeline import Replaced, evaluation_batches
from bmjax.evals.classification import classification_figures
from bmjax.evals.embedding import embed_2d
from bmjax.evals.features import extract_features
from bmjax.evals.knn import knn_probabilities
from bmjax.evals.linear import apply_linear, fit_linear, softmax
from bmjax.files import write_csv, write_json
from bmjax.keys import key_for
from bmjax.optim import count_parameters
from bmjax.report import write_report
from bmjax.runtime import versions
from bmjax.step import TrainState, make_predict_step

_PARTS = ("train", "test")
_NEIGHBOURS = (1, 20)


def evaluate_run(
    run: Run,
    state: TrainState,
    workdir: Path,
    *,
    seconds: float,
    replaced: Replaced,
) -> Path:
    """Evaluate a trained state; write predictions, embedding, results and the report.

    A method with a classifier is judged by it, any other by the linear probe on frozen
    features. The report is written last: where it is, the run is complete.

    Returns:
        the report's path.
    """
    classes = run.catalog.classes
    digest = checkpoint.digest(state.params)
    labels = {part: run.catalog.labels[getattr(run.split, part)] for part in _PARTS}
    features, logits = {}, {}
    folder = workdir / "features"
    folder.mkdir(exist_ok=True)
    predict = jax.jit(make_predict_step(run.method, make_prepare(run.config)))
    for part in _PARTS:
        features[part], logits[part] = _features(
            run, state, predict, folder, part, digest, replaced
        )
    probabilities = _probes(run, state, folder, features, labels, replaced)
    predictor, judged = "linear", probabilities["linear"]
    if logits["test"] is not None:
        predictor, judged = "classifier", softmax(logits["test"])

    paths = [run.catalog.paths[position] for position in run.split.test]
    names = [classes[label] for label in labels["test"]]
    _write_predictions(workdir / "predictions.csv", paths, names, judged, classes)
    rows, places = embed_2d(
        features["test"], labels["test"], seed=run.config.seed, **run.config.tsne
    )
    write_csv(
        workdir / "embedding.csv",
        ("path", "label", "x", "y"),
        [
            (paths[row], names[row], f"{x:.4f}", f"{y:.4f}")
            for row, (x, y) in zip(rows, places, strict=True)
        ],
    )
    figures = {
        name: classification_figures(labels["test"], shares.argmax(axis=1), classes)
        for name, shares in {**probabilities, "judged": judged}.items()
    }
    write_json(
        workdir / "results.json",
        {
            **_described(run),
            "predictor": predictor,
            **figures.pop("judged"),
            "probe": {name: _without_classes(f) for name, f in figures.items()},
            "seconds": seconds,
            "images_per_second": (
                run.steps * run.config.data.batch_size / seconds if seconds else None
            ),
            "parameters": count_parameters(state.params),
            "params_sha256": digest,
        },
    )
    return write_report(workdir)


def _described(run: Run) -> dict[str, Any]:
    """What was run, on what, with what."""
    return {
        "method": run.config.method.name,
        "network": run.config.model.name,
        "split": run.config.data.split,
        "fold": run.config.data.fold,
        "pretrained_on": run.config.data.pretrain_on,
        "n_train": len(run.split.train),
        "n_test": len(run.split.test),
        "train_counts": counts(run.catalog, run.split.train),
        "test_counts": counts(run.catalog, run.split.test),
        "steps": run.steps,
        "devices": run.mesh.size,
        "data_fingerprint": run.catalog.fingerprint,
        "split_digest": run.split_digest,
        "versions": versions(),
    }


def _probes(
    run: Run,
    state: TrainState,
    folder: Path,
    features: dict[str, np.ndarray],
    labels: dict[str, np.ndarray],
    replaced: Replaced,
) -> dict[str, np.ndarray]:
    """Class probabilities of the test images by each probe on frozen features."""
    classes = len(run.catalog.classes)
    settings = run.config.probe.to_dict()
    fit_features, fit_labels = features["train"], labels["train"]
    if passes := settings.pop("augmented_passes"):
        fit_features, fit_labels = _augmented(run, state, folder, passes, replaced)
    linear = fit_linear(
        fit_features, fit_labels, classes=classes, seed=run.config.seed, **settings
    )
    np.savez(folder / "linear.npz", **linear._asdict())
    nearest = knn_probabilities(
        features["train"],
        labels["train"],
        features["test"],
        classes=classes,
        neighbours=_NEIGHBOURS,
    )
    return {
        "linear": apply_linear(linear, features["test"]),
        **{f"knn_{k}": shares for k, shares in nearest.items()},
    }


def _features(
    run: Run,
    state: TrainState,
    predict: Callable[..., dict[str, jax.Array]],
    folder: Path,
    part: str,
    digest: str,
    replaced: Replaced,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features and logits of one part, from the cache if these parameters made it."""
    note = folder / f"{part}.json"
    path, logits_path = folder / f"{part}.npy", folder / f"{part}_logits.npy"
    made_by = {"params_sha256": digest, "data_fingerprint": run.catalog.fingerprint}
    if note.exists() and json.loads(note.read_text()) == made_by:
        logits = np.load(logits_path) if logits_path.exists() else None
        return np.load(path, mmap_mode="r"), logits
    positions = getattr(run.split, part)
    features, logits = extract_features(
        lambda pixels: predict(state.params, state.batch_stats, pixels),
        _batches(run, positions, replaced),
        images=len(positions),
        mesh=run.mesh,
        path=path,
    )
    if logits is not None:
        np.save(logits_path, logits)
    write_json(note, made_by)
    return features, logits


def _augmented(
    run: Run, state: TrainState, folder: Path, passes: int, replaced: Replaced
) -> tuple[np.ndarray, np.ndarray]:
    """Features of augmented training images, `passes` times over, and their labels."""

    @jax.jit
    def predict(params, stats, pixels, number):
        key = key_for(run.config.seed, "probe views", number)
        return run.method.predict(params, stats, run.recipe(key, pixels)[0][:, 0])

    positions = np.tile(run.split.train, passes)
    numbers = iter(range(len(positions)))
    features, _ = extract_features(
        lambda pixels: predict(
            state.params, state.batch_stats, pixels, jnp.int32(next(numbers))
        ),
        _batches(run, positions, replaced),
        images=len(positions),
        mesh=run.mesh,
        path=folder / "train_augmented.npy",
    )
    return features, run.catalog.labels[positions]


def _batches(run: Run, positions: np.ndarray, replaced: Replaced):
    return evaluation_batches(
        run.catalog,
        positions,
        size=run.config.data.size,
        batch_size=run.config.data.batch_size,
        threads=run.config.data.threads,
        prefetch=run.config.data.prefetch,
        stand_ins=run.stand_ins,  # as in training; no test image has one
        replaced=replaced,
    )


def _without_classes(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "per_class"}


def _write_predictions(
    path: Path,
    paths: list[str],
    names: list[str],
    probabilities: np.ndarray,
    classes: tuple[str, ...],
) -> None:
    """`path,label,predicted` and one probability for each class, p_CLASS."""
    write_csv(
        path,
        ("path", "label", "predicted", *(f"p_{name}" for name in classes)),
        [
            (place, name, classes[row.argmax()], *(f"{p:.6g}" for p in row))
            for place, name, row in zip(paths, names, probabilities, strict=True)
        ],
    )
