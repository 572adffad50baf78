"""What results.json says of the validation part."""

from typing import Any

import numpy as np

from bmjax.data.splits.make_split import counts
from bmjax.evals.classification import classification_metrics
from bmjax.evals.validation_metrics import SHOWN
from bmjax.run.build import RunData
from bmjax.run.run_settings import Settings
from bmjax.run.validation import Chosen


def validation_results(
    settings: Settings,
    data: RunData,
    chosen: Chosen,
    probes: dict[str, np.ndarray],
    logits: np.ndarray | None,
) -> dict[str, Any] | None:
    """Describe the validation part and what was chosen on it; None: there is none.

    The metrics are of the same predictors that the test part evaluates, so that a
    setting can be chosen by them.

    Args:
        settings: of the run.
        data: its images.
        chosen: the state that is evaluated.
        probes: of the validation images, float32 [V, N], by probe.
        logits: of the validation images, where the network has a classifier.

    Returns:
        `share`, `images`, `counts` by class, `seen_before` (images that the source of
        the weights was trained on), `predictors` (metrics by probe, and "classifier"),
        `chosen` (the step, its metric, among how many; None: the last one).
    """
    if not len(data.validation):
        return None
    classes, labels = data.catalog.classes, data.catalog.labels[data.validation]
    scores = probes if logits is None else {"classifier": logits, **probes}
    predictors = {}
    for name, rows in scores.items():
        metrics = classification_metrics(labels, rows.argmax(axis=1), classes)
        predictors[name] = {key: metrics[key] for key in SHOWN}
    return {
        "share": settings.data.validation_share,
        "images": len(data.validation),
        "counts": counts(data.catalog, data.validation),
        "seen_before": chosen.seen_before,
        "predictors": predictors,
        "chosen": chosen.facts,
    }
