"""The rows of the report's tables: numbers and dicts in, rows and sentences out."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from bmjax.data.labels import RARE, class_name
from bmjax.report.files import Prediction, class_entries, finite, section

NONE = "\N{EN DASH}"  # shown where there is no number
SCORES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_f1_without_rare": "Macro F1 without rare classes",
    "weighted_f1": "Weighted F1",
}
METHODS = {"swav": "SwAV", "supcon": "SupCon", "dino": "DINO"}
OWN_CLASSIFIER = ("supervised", "mixup")  # methods that learn from the labels


class ClassRow(NamedTuple):
    """One class: its numbers as text, and its F1 as a number for the bar."""

    abbreviation: str
    name: str
    train: str
    test: str
    support: int
    precision: str
    recall: str
    f1: str
    bar: float


class Cell(NamedTuple):
    """One cell of the confusion matrix; `share` is of its row, from 0 to 1."""

    count: int
    share: float
    right: bool
    title: str


def score(value: Any) -> str:
    """A score with three decimals, or a dash."""
    number = finite(value)
    return NONE if number is None else f"{number:.3f}"


def count(value: Any) -> str:
    """A whole number with its thousands apart, or a dash."""
    number = finite(value)
    return NONE if number is None else f"{number:,.0f}"


def duration(seconds: Any) -> str:
    """Seconds in the two units that matter: `2 d 3 h`, `1 h 4 min`, `12.3 s`."""
    number = finite(seconds)
    if number is None:
        return NONE
    if number < 60:
        return f"{number:.1f} s"
    minutes, second = divmod(round(number), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    return f"{hours} h {minute} min" if hours else f"{minutes} min {second} s"


def listing(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def method_name(method: Any) -> str:
    """A method's name as its paper writes it."""
    return METHODS.get(str(method), str(method or "unknown method").capitalize())


def probe_name(probe: str) -> str:
    """`linear` and `knn_20` in words."""
    neighbors = re.fullmatch(r"knn_(\d+)", probe)
    if neighbors:
        return f"{neighbors[1]}-nearest neighbor{'' if neighbors[1] == '1' else 's'}"
    return "Linear probe" if probe == "linear" else probe.replace("_", " ")


def tiles(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The headline's scores: (label, value, why there is no value) each."""
    found = []
    for key, label in SCORES.items():
        reason = "" if key in results else "not computed by this run"
        if key in results and finite(results[key]) is None:
            rare = key == "macro_f1_without_rare"
            reason = "every class is rare here" if rare else "not defined here"
        found.append((label, score(results.get(key)), reason))
    return found


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


def class_rows(results: dict[str, Any], classes: Sequence[str]) -> list[ClassRow]:
    """The per-class table, one row for each of `classes`, in their order."""
    train, test = section(results, "train_counts"), section(results, "test_counts")
    entries = {str(entry["abbreviation"]): entry for entry in class_entries(results)}
    rows = []
    for abbreviation in classes:
        entry = entries.get(abbreviation, {})
        support = finite(entry.get("support", test.get(abbreviation, 0))) or 0
        name = str(entry.get("name") or class_name(abbreviation))
        rows.append(
            ClassRow(
                abbreviation,
                "" if name == abbreviation else name,
                count(train.get(abbreviation)),
                count(support),
                int(support),
                score(entry.get("precision")),
                score(entry.get("recall")),
                score(entry.get("f1")),
                finite(entry.get("f1")) or 0.0,
            )
        )
    return rows


def warnings(rows: Sequence[ClassRow]) -> list[str]:
    """Sentences on the classes that are absent from the test part or few in it."""
    present = [row for row in rows if row.support > 0]
    few = [row for row in present if row.support < RARE]
    absent = [row.abbreviation for row in rows if row.support == 0]
    sentences = []
    if few and len(few) == len(present):
        sentences.append(
            f"Every class has fewer than {RARE} test images: a few images decide each "
            f"class\N{RIGHT SINGLE QUOTATION MARK}s scores and all averages."
        )
    elif few:
        named = listing([f"{row.abbreviation} ({row.test})" for row in few])
        has, each = ("has", "") if len(few) == 1 else ("have", " each")
        sentences.append(
            f"{named} {has} fewer than {RARE} test images{each}, and every class "
            "weighs the same in the balanced accuracy and the macro F1: a few images "
            f"decide {len(few)} of the {len(present)} terms of these averages."
        )
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        sentences.append(f"{listing(absent)} {verb} absent from the test part.")
    return sentences


def confusion(
    predictions: Sequence[Prediction], classes: Sequence[str]
) -> list[tuple[str, str, list[Cell]]]:
    """The confusion matrix: (true class, its images, a cell for each class) rows."""
    pairs = Counter((row.label, row.predicted) for row in predictions)
    rows = []
    for label in classes:
        counts = [pairs[label, called] for called in classes]
        total = sum(counts)
        cells = [
            Cell(
                number,
                number / max(total, 1),
                label == called,
                f"{label} predicted as {called}: {number} of {total}",
            )
            for called, number in zip(classes, counts, strict=True)
        ]
        rows.append((label, count(total), cells))
    return rows


def common_confusions(predictions: Sequence[Prediction], limit: int = 5) -> list[str]:
    """The most common mistakes in words, most common first, ties by name."""
    totals = Counter(row.label for row in predictions)
    wrong = Counter(
        (row.label, row.predicted) for row in predictions if row.label != row.predicted
    )
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return [
        f"{label} as {called} ({number:,}, {number / totals[label]:.0%} of {label})"
        for (label, called), number in ranked[:limit]
    ]


def confident_mistakes(
    predictions: Sequence[Prediction], limit: int = 12
) -> list[list[str]]:
    """Texts (file, true class, predicted class, probability), most confident first."""
    wrong = [row for row in predictions if row.label != row.predicted]
    ranked = sorted(wrong, key=lambda row: (-(row.confidence or 0.0), row.path))
    return [
        [shown_path(row.path), row.label, row.predicted, score(row.confidence)]
        for row in ranked[:limit]
    ]


def shown_path(path: str) -> str:
    """A relative path as it is; of an absolute one, the folder and the file alone."""
    kind = PureWindowsPath if PureWindowsPath(path).drive else PurePosixPath
    whole = kind(path)
    return "/".join(whole.parts[1:][-2:]) if whole.is_absolute() else path


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
    return [
        ("Steps", count(results.get("steps"))),
        ("Time", duration(results.get("seconds"))),
        ("Images per second", NONE if speed is None else f"{speed:,.1f}"),
        ("Parameters", count(results.get("parameters"))),
        ("Devices", _text(results.get("devices"))),
        ("Seed", _text(config.get("seed"))),
        ("Fingerprint of the data", _text(results.get("data_fingerprint"))),
        ("Digest of the split", _text(results.get("split_digest"))),
        ("SHA-256 of the parameters", _text(results.get("params_sha256"))),
    ]


def run_title(results: dict[str, Any], config: dict[str, Any]) -> str:
    """The method and the network."""
    method = results.get("method") or section(config, "method").get("name")
    network = results.get("network") or section(config, "model").get("name")
    return f"{method_name(method)}, {_text(network)}"


def run_data(results: dict[str, Any], config: dict[str, Any], classes: int) -> str:
    """The split, the fold and the numbers of images."""
    data = section(config, "data")
    split = results.get("split", data.get("split"))
    fold = results.get("fold", data.get("fold"))
    left_out = data.get("exclude")
    parts = [
        "" if split is None else f"split {split}",
        "" if fold is None else f"fold {fold}",
        f"{count(results.get('n_train'))} training images",
        f"{count(results.get('n_test'))} test images",
        f"{classes} classes",
        f"without {_text(left_out)}" if left_out else "",
    ]
    return ", ".join(filter(None, parts))


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return listing([str(item) for item in value])
    return NONE if value is None or value == "" else str(value)
