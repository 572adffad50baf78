"""The systems of a small experiment: a run, the probe on its features, a baseline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import read_pixels
from bmjax.data.images.folder import read_folder
from bmjax.data.splits.make_split import Split, make_split
from bmjax.errors import DataError
from bmjax.evals.classification import classification_metrics
from bmjax.evals.linear_probe import Linear, apply_linear
from bmjax.evals.predictions import Predictions
from bmjax.report.run_files import RunFiles
from bmjax.report.systems import System, image_roots
from bmjax.run.workdir import excluded

_AGREE = 0.01  # of a probe's stored macro F1 and the one computed here: rounding


class ShownRun(NamedTuple):
    """One system: a run's own predictions, or those of the probe on its features."""

    title: str
    run: str
    probe: bool = False


class Baseline(NamedTuple):
    """A classifier without a network, trained and tested on the images of the runs."""

    title: str
    size: int  # of the images, pixels
    features: Callable[[np.ndarray], np.ndarray]  # of one image, uint8 [size, size, 3]
    model: Callable[[], Any]  # makes a classifier of scikit-learn


def of_linear_probe(folder: Path, run: RunFiles) -> Predictions:
    """Predictions of the linear probe that every run fits on its features."""
    with np.load(folder / "features" / "linear.npz") as arrays:
        linear = Linear(**arrays)
    logits = apply_linear(linear, np.load(folder / "features" / "test.npy"))
    shown = run.predictions._replace(predicted=np.argmax(logits, axis=-1))
    metrics = classification_metrics(shown.labels, shown.predicted, shown.classes)
    stored = run.results["probe"]["linear"]["macro_f1"]
    if abs(metrics["macro_f1"] - stored) > _AGREE:
        raise DataError(
            f"results.json in {folder} gives its linear probe a macro F1 of "
            f"{stored:.3f}, and its features {metrics['macro_f1']:.3f}; move the "
            "folder away and run it again"
        )
    return shown


def of_baseline(baseline: Baseline, folder: Path, run: RunFiles) -> Predictions:
    """Predictions of a baseline, trained on the run's training images."""
    catalog, split = read_split(folder, run)

    def features(places: np.ndarray) -> np.ndarray:
        files = (catalog.root / catalog.paths[place] for place in places)
        images = (read_pixels(file, size=baseline.size) for file in files)
        return np.stack([baseline.features(image) for image in images])

    model = baseline.model()
    model.fit(features(split.train), catalog.labels[split.train])
    predicted = model.predict(features(split.test))
    return run.predictions._replace(predicted=predicted, probabilities=None)


def read_split(folder: Path, run: RunFiles) -> tuple[Catalog, Split]:
    """The images of a run and its split.

    Raises:
        DataError: the images are not those of the run.
    """
    data = run.config["data"]
    roots = image_roots(System(folder.name, folder, run.predictions, run))
    catalog = read_folder(roots[0], exclude=excluded(data["exclude"]))
    split = make_split(
        catalog, name=data["split"], fold=data["fold"], seed=data["split_seed"]
    )
    if tuple(catalog.paths[place] for place in split.test) != run.predictions.paths:
        raise DataError(
            f"{catalog.root} does not hold the test images of {folder}; give the "
            "folder that the runs were made with"
        )
    return catalog, split
