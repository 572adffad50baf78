"""How a run was made, from its results and its configuration."""

from collections.abc import Sequence
from typing import Any

from bmjax.report.metric_tables import SCORES
from bmjax.report.run_files import finite, section
from bmjax.report.words import (
    NONE,
    count,
    duration_text,
    method_name,
    probe_name,
    score,
    shown_path,
    value_text,
)

# Methods with a classifier among those whose old results do not name a predictor.
OWN_CLASSIFIER = ("supervised", "mixup")


def measured(results: dict[str, Any]) -> str:
    """What the headline's scores are of, as the start of a sentence.

    Results that do not say so by `predictor` are a linear probe's where they equal its
    scores and the method has no classifier of its own.
    """
    linear = section(section(results, "probe"), "linear")
    shared = [key for key in SCORES if key in linear]
    equal = all(linear[key] == results.get(key) for key in shared)
    frozen = bool(shared) and equal and results.get("method") not in OWN_CLASSIFIER
    predictor = str(results.get("predictor") or ("linear" if frozen else "classifier"))
    if predictor == "classifier":
        return "The network\N{RIGHT SINGLE QUOTATION MARK}s own classifier on"
    return f"{probe_name(predictor)} on frozen features of"


def probe_table(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The probes side by side: the head, and a row of texts for each probe."""
    probes = section(results, "probe")
    known = {name: section(probes, name) for name in probes}
    keys = [key for key in SCORES if any(key in scores for scores in known.values())]
    rows = [
        [probe_name(name), *(score(scores.get(key)) for key in keys)]
        for name, scores in known.items()
        if scores
    ]
    if rows and measured(results).endswith("classifier on"):
        own = [score(results.get(key)) for key in keys]
        rows.insert(0, ["Own classifier", *own])
    return ["Classifier", *(SCORES[key] for key in keys)], rows


def mended(results: dict[str, Any], known: Sequence[str]) -> list[str]:
    """Sentences on what mending the probabilities would gain, where a run tried it.

    After them come the notes of the results that are not among the `known` ones.
    """
    calibration = section(results, "calibration")
    prior = section(calibration, "prior_correction")
    scaled = section(calibration, "temperature")
    sentences = []
    if prior:
        sentences.append(
            "Corrected for how often training drew each class, the ECE is "
            f"{score(prior.get('ece'))} and the accuracy "
            f"{score(prior.get('accuracy'))}."
        )
    if scaled:
        also = " also" if prior else ""
        sentences.append(
            f"With the probabilities{also} scaled by a temperature of "
            f"{score(scaled.get('value'))}, fitted on "
            f"{count(scaled.get('validation_images'))} validation images, the ECE is "
            f"{score(scaled.get('ece'))}."
        )
    notes = results.get("notes")
    others = notes if isinstance(notes, list) else []
    return sentences + [str(note) for note in others if note not in known]


def config_rows(config: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The config as (dotted key, value) texts, in its own order.

    Of absolute paths only the end is shown: a report may be sent to others.
    """
    rows = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            rows += config_rows(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            rows.append((f"{prefix}{key}", shown_path(value)))
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


def facts(results: dict[str, Any], config: dict[str, Any]) -> list[tuple[str, str]]:
    """How the run was made: (name, value) texts."""
    speed = finite(results.get("images_per_second"))
    labels = section(results, "labels")
    corrected = [
        ("Labels corrected", count(labels.get("corrected"))),
        ("Images left out", count(labels.get("left_out"))),
        ("Digest of the corrections", value_text(labels.get("digest"))),
    ]
    return [
        ("Steps", count(results.get("steps"))),
        ("Time", duration_text(results.get("seconds"))),
        ("Images per second", NONE if speed is None else f"{speed:,.1f}"),
        ("Parameters", count(results.get("parameters"))),
        ("Devices", value_text(results.get("devices"))),
        ("Seed", value_text(config.get("seed"))),
        ("Fingerprint of the data", value_text(results.get("data_fingerprint"))),
        *(corrected if labels else []),
        ("Digest of the split", value_text(results.get("split_digest"))),
        ("SHA-256 of the parameters", value_text(results.get("params_sha256"))),
    ]


def run_title(results: dict[str, Any], config: dict[str, Any]) -> str:
    """The method and the network."""
    method = results.get("method") or section(config, "method").get("name")
    network = results.get("network") or section(config, "model").get("name")
    title = results.get("method_title") or method_name(method)
    return f"{value_text(title)}, {value_text(network)}"


def run_data(results: dict[str, Any], config: dict[str, Any], classes: int) -> str:
    """The split, the fold and the numbers of images."""
    data = section(config, "data")
    split = results.get("split", data.get("split"))
    fold = results.get("fold", data.get("fold"))
    left_out = data.get("exclude")
    held = section(results, "validation")
    parts = [
        "" if split is None else f"split {split}",
        "" if fold is None else f"fold {fold}",
        f"{count(results.get('n_train'))} training images",
        f"{count(held.get('images'))} validation images" if held else "",
        f"{count(results.get('n_test'))} test images",
        f"{classes} classes",
        f"without {value_text(left_out)}" if left_out else "",
    ]
    return ", ".join(filter(None, parts))
