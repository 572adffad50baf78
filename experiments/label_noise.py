"""Wrong labels planted among real cells: how many of them confident learning finds.

    python -m experiments.label_noise --data=FOLDER [--out=FOLDER]

Color histograms in three rings around the cell, a logistic regression for each of five
folds, 5 and 10 % of the labels flipped. Writes flips.json and RESULT.md into
experiments/2026-11-26-label-noise. Two CPU cores need some minutes.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.make_split import FOLDS, make_split
from bmjax.evals.classification import classification_metrics
from bmjax.evals.confident_learning import estimate_noise, rank_suspects
from bmjax.evals.linear_probe import apply_linear
from bmjax.evals.logistic_probe import fit_logistic
from bmjax.files import write_json, write_whole

_OUT = Path(__file__).parent / "2026-11-26-label-noise"
# ART and BLA come from another microscope: the background alone tells them.
_EXCLUDE = ("ART", "BLA")
_SIDE = 96  # pixels of an image
_RINGS = (0, 16, 32, 48)  # pixels from the center: nucleus, cell, what is around it
_BINS = 16  # of a channel
_STRENGTH = 0.1  # of the regression; the better of 0.01 and 0.1 on the labels as filed
_ITERATIONS = 150
_RATES = (0.05, 0.1)
_SEEDS = (0, 1)
# What an expert would take a cell of each class for: the next in its lineage, or alike.
_ALIKE = {
    "BAS": "EOS",
    "EBO": "LYT",
    "EOS": "NGS",
    "LYT": "EBO",
    "MMZ": "MYB",
    "MON": "LYT",
    "MYB": "PMO",
    "NGB": "NGS",
    "NGS": "NGB",
    "PMO": "MYB",
}


def color_rings(image: np.ndarray) -> np.ndarray:
    """Roots of the shares of a cell's colors, ring by ring, float32 [288].

    Args:
        image: uint8 [96, 96, 3], RGB.
    """
    rows, columns = np.mgrid[:_SIDE, :_SIDE] - (_SIDE - 1) / 2
    distance = np.hypot(rows, columns)
    shares = []
    for space in (cv2.COLOR_RGB2LAB, cv2.COLOR_RGB2HSV):
        pixels = cv2.cvtColor(image, space)
        for inner, outer in itertools.pairwise(_RINGS):
            ring = pixels[(distance >= inner) & (distance < outer)]
            for channel in ring.T:
                counted = np.histogram(channel, _BINS, (0, 256))[0]
                shares.append(np.sqrt(counted / len(channel)))
    return np.concatenate(shares).astype(np.float32)


def plant_flips(catalog: Catalog, rate: float, pattern: str, seed: int) -> np.ndarray:
    """Labels of which a share of every class is another class, int [n].

    Args:
        catalog: the images.
        rate: share of each class, rounded to whole images.
        pattern: "any" (each other class as likely) or "alike" (the class most alike).
        seed: of the choice.
    """
    random = np.random.Generator(np.random.PCG64([seed, round(1000 * rate)]))
    labels = catalog.labels.astype(int)
    number = {name: label for label, name in enumerate(catalog.classes)}
    for label, name in enumerate(catalog.classes):
        members = np.flatnonzero(catalog.labels == label)
        chosen = random.permutation(members)[: round(rate * len(members))]
        others = [other for other in number.values() if other != label]
        if pattern == "alike":
            others = [number[_ALIKE[name]]]
        labels[chosen] = random.choice(others, len(chosen))
    return labels


def judge_out_of_fold(
    features: np.ndarray, labels: np.ndarray, tests: Sequence[np.ndarray], classes: int
) -> np.ndarray:
    """Probabilities of each image by a regression that did not learn it, [n, N]."""
    probabilities = np.zeros((len(labels), classes))
    for test in tests:
        train = np.setdiff1d(np.arange(len(labels)), test)
        fit = fit_logistic(
            features[train],
            labels[train],
            classes=classes,
            strength=_STRENGTH,
            iterations=_ITERATIONS,
            standardize=True,
        )
        probabilities[test] = apply_linear(fit.linear, features[test])
    return probabilities


def judge_list(
    truth: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, Any]:
    """Of the listed suspects, how many are planted, and of the planted, how many found.

    The list has as many of each class as are estimated to be wrong.
    """
    noise = estimate_noise(labels, probabilities)
    planted = labels != truth
    by_margin = rank_suspects(labels, probabilities, noise.wrong)
    own = probabilities[np.arange(len(labels)), labels]
    first = rank_suspects(
        labels, probabilities, np.bincount(labels[planted], minlength=len(noise.wrong))
    )
    least_own = [
        members[np.argsort(own[members], kind="stable")][:number]
        for label, number in enumerate(noise.wrong)
        for members in [np.flatnonzero(labels == label)]
    ]
    listed = np.zeros(len(labels), bool)
    listed[by_margin.rows] = True
    named = by_margin.suggested == truth[by_margin.rows]
    found = planted[by_margin.rows]
    return {
        "planted": int(planted.sum()),
        "listed": len(by_margin.rows),
        "found": int(found.sum()),
        "found_in_first": int(planted[first.rows].sum()),
        "truth_suggested": int((named & found).sum()),
        "found_by_self_confidence": int(planted[np.concatenate(least_own)].sum()),
        "classes": [
            {
                "planted": int(planted[labels == label].sum()),
                "listed": int(listed[labels == label].sum()),
                "found": int((planted & listed)[labels == label].sum()),
            }
            for label in range(len(noise.wrong))
        ],
    }


def run_experiment(data: Path) -> dict[str, Any]:
    """All figures."""
    catalog = read_catalog(data, exclude=_EXCLUDE)
    names = catalog.classes
    images = (
        decode(catalog.encoded(place), size=_SIDE, name=catalog.paths[place])
        for place in range(len(catalog))
    )
    features = np.stack([color_rings(image) for image in images])
    tests = [
        make_split(catalog, name="kfold", fold=fold, seed=42).test
        for fold in range(FOLDS)
    ]
    truth = catalog.labels.astype(int)
    clean = judge_out_of_fold(features, truth, tests, len(names))
    metrics = classification_metrics(truth, clean.argmax(axis=1), names)
    as_filed = estimate_noise(truth, clean)
    settings = []
    for pattern in ("any", "alike"):
        for rate in _RATES:
            judged = []
            for seed in _SEEDS:
                labels = plant_flips(catalog, rate, pattern, seed)
                shares = judge_out_of_fold(features, labels, tests, len(names))
                judged.append(judge_list(truth, labels, shares))
            settings.append({"pattern": pattern, "rate": rate, "seeds": judged})
            print(pattern, rate, [(j["listed"], j["found"]) for j in judged])
    return {
        "classes": list(names),
        "images": as_filed.images.tolist(),
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "listed_as_filed": as_filed.wrong.tolist(),
        "settings": settings,
    }


def planted_page(figures: dict[str, Any]) -> str:
    """RESULT.md: the lists as a whole, and class by class."""
    lines = [
        "# Planted flips among real cells",
        "",
        f"{sum(figures['images']):,} images, labels as filed: out-of-fold accuracy "
        f"{figures['accuracy']:.3f}, macro F1 {figures['macro_f1']:.3f}; "
        f"{sum(figures['listed_as_filed'])} labels estimated to be wrong where none "
        "was planted.",
        "",
        f"Sums over {len(_SEEDS)} draws of the flips. Precision: planted ones among "
        "the listed. Recall: listed ones among the planted. Chance: the precision of "
        "a list drawn at random. First: the precision of a list as long as the planted "
        "ones of each class are many. Named: the suggested class is the true one, of "
        "those found. Self-confidence: the precision of a list as long as ours, ranked "
        "by the probability of the label alone.",
        "",
        "| flipped to | planted | listed | found | precision | recall | chance | first "
        "| named | self-confidence |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for setting in figures["settings"]:
        total = {
            key: sum(seed[key] for seed in setting["seeds"])
            for key in setting["seeds"][0]
            if key != "classes"
        }
        images = len(setting["seeds"]) * sum(figures["images"])
        cells = [
            f"{setting['rate']:.0%} to {_WORDS[setting['pattern']]}",
            str(total["planted"]),
            str(total["listed"]),
            str(total["found"]),
            _ratio(total["found"], total["listed"]),
            _ratio(total["found"], total["planted"]),
            _ratio(total["planted"], images),
            _ratio(total["found_in_first"], total["planted"]),
            _ratio(total["truth_suggested"], total["found"]),
            _ratio(total["found_by_self_confidence"], total["listed"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "By the class of the label: planted / listed / found, precision and recall.",
    ]
    for setting in figures["settings"]:
        lines += [
            "",
            f"**{setting['rate']:.0%} to {_WORDS[setting['pattern']]}**",
            "",
            "| class | images | planted | listed | found | precision | recall |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for number, name in enumerate(figures["classes"]):
            planted, listed, found = (
                sum(seed["classes"][number][key] for seed in setting["seeds"])
                for key in ("planted", "listed", "found")
            )
            cells = [name, str(figures["images"][number]), str(planted), str(listed)]
            cells += [str(found), _ratio(found, listed), _ratio(found, planted)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_WORDS = {"any": "any class", "alike": "the class most alike"}


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def run_and_write(arguments: Sequence[str] | None = None) -> int:
    """Run the experiment and write its files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=_OUT)
    options = parser.parse_args(arguments)
    figures = json.loads(json.dumps(run_experiment(options.data)))
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "flips.json", figures)
    write_whole(options.out / "RESULT.md", planted_page(figures))
    return 0


if __name__ == "__main__":
    sys.exit(run_and_write())
