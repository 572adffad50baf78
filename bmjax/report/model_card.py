"""What a trained network is for, and what was and was not tested: its model card.

After Mitchell et al. (2019), "Model Cards for Model Reporting", as far as a run knows
it. Every number is one of the run's own files.
"""

from typing import Any

from bmjax.data.matek import RARE, class_name
from bmjax.report import facts
from bmjax.report.run_files import RunFiles, finite, section
from bmjax.report.words import count, listing, score, shown_path, value_text

CARD_FILE = "model_card.json"
DISCLAIMER = (
    "Not a medical device: for research only. Nothing here has been validated for "
    "diagnosis, and no decision on a patient should rest on it."
)
_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
_NAMED = 8  # classes that a sentence names


def model_card(run: RunFiles, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the card of a run, ready for JSON; the same files give the same card.

    Args:
        run: its files.
        metrics: of `assess` for its predictions.
    """
    results, config = run.results, run.config
    data, model = section(config, "data"), section(config, "model")
    return {
        "format": 1,
        "name": facts.run_title(results, config),
        "disclaimer": DISCLAIMER,
        "made_for": (
            "Made for research on single bone-marrow cells that were cut out of "
            "photographs of stained smears: it gives features, and one of the run's "
            "classes for each cell."
        ),
        "classes": [
            {"class": name, "name": class_name(name)}
            for name in run.predictions.classes
        ],
        "input": {key: data.get(key) for key in ("size", "resize", "mean", "std")},
        "network": {
            "name": model.get("name"),
            "began_with": shown_path(str(config.get("init_from") or "")) or None,
            "parameters": results.get("parameters"),
            "params_sha256": results.get("params_sha256"),
        },
        "training": {
            "method": results.get("method"),
            "images": results.get("n_train"),
            "images_of_classes": section(results, "train_counts"),
            "split": results.get("split"),
            "fold": results.get("fold"),
            "data_fingerprint": results.get("data_fingerprint"),
            "split_digest": results.get("split_digest"),
            **_corrections(results),
            "steps": results.get("steps"),
            "seed": config.get("seed"),
            "versions": section(results, "versions"),
        },
        "test": {
            "images": metrics["images"],
            "level": metrics["level"],
            "metrics": {
                name: {"value": metrics[name], "interval": metrics["intervals"][name]}
                for name in _METRICS
            },
            "ece": section(metrics, "calibration").get("ece"),
        },
        "tested": _tested(run, metrics),
        "not_tested": _not_tested(run, metrics),
    }


def _corrections(results: dict[str, Any]) -> dict[str, Any]:
    """Which labels of the folders were corrected, where some were."""
    labels = section(results, "labels")
    return {"labels": labels} if labels else {}


def _tested(run: RunFiles, metrics: dict[str, Any]) -> list[str]:
    """Sentences on what the figures rest on."""
    low, high = metrics["intervals"]["accuracy"]
    sentences = [
        f"{facts.measured(run.results)} {count(metrics['images'])} test images, which "
        f"training never used: accuracy {score(metrics['accuracy'])}, "
        f"{metrics['level']:.0%} interval {score(low)} to {score(high)}."
    ]
    held = section(run.results, "validation")
    if held:
        sentences.append(
            "Settings and steps that were chosen were chosen on "
            f"{count(held.get('images'))} validation images, which are no training "
            "and no test images."
        )
    scaled = section(section(run.results, "calibration"), "temperature")
    if finite(scaled.get("value")) is not None:
        sentences.append(
            "The temperature that calibrates its probabilities, "
            f"{score(scaled['value'])}, was fitted on "
            f"{count(scaled.get('validation_images'))} images that are no test images."
        )
    return sentences


def _not_tested(run: RunFiles, metrics: dict[str, Any]) -> list[str]:
    """Sentences on what no figure here says anything about."""
    sentences = [
        "Cells of another laboratory, stain, microscope, camera or magnification: all "
        "test images come from the data set that it was trained on.",
        "Other patients: paths name no patients, so one patient's cells may lie in the "
        "training and in the test part, unless the split's file groups them.",
        "Whole smears: the images were cut out and chosen before; what that leaves out "
        "is not known.",
        "Readers: no study says what they would do with its output.",
    ]
    few = [
        str(entry["abbreviation"])
        for entry in metrics["per_class"]
        if entry["support"] < RARE
    ]
    if few:
        named = listing(few[:_NAMED]) if len(few) <= _NAMED else f"{len(few)} classes"
        sentences.append(
            f"Rare classes: {named} have fewer than {RARE} test images each, and "
            "their own figures say little."
        )
    if finite(section(metrics, "calibration").get("ece")) is None:
        sentences.append("Probabilities: the predictions have none.")
    left_out = section(run.config, "data").get("exclude")
    if left_out:
        sentences.append(
            f"Cells of the classes that were left out ({value_text(left_out)}): it "
            "names one of its own classes for each of them."
        )
    return sentences
