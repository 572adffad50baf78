"""The learning curve of one system, fit by fit, each kept once it is made."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bmjax
from bmjax.data.splits.make_split import counts
from bmjax.evals.label_curves import (
    STRENGTHS,
    SplitFeatures,
    drawn_order,
    feature_scale,
    judge_labeled,
    labeled_rows,
    rows_digest,
)
from bmjax.files import plain_cell, read_json_object, write_json
from bmjax.run.common_split import CommonSplit

RESULT_COLUMNS = (
    "system",
    "per_class",
    "draw",
    "classifier",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "strength",
    "chosen_on",
    "iterations",
    "converged",
    "relative_gradient",
)
Draws = Sequence[Sequence[np.ndarray]]  # of `drawn_order`, draw 1 first


def draw_images(common: CommonSplit, *, seed: int, draws: int) -> Draws:
    """In which order the training images of each class get their labels."""
    labels = common.catalog.labels[common.split.train]
    return [
        drawn_order(labels, common.catalog.classes, seed=seed, draw=draw)
        for draw in range(1, draws + 1)
    ]


def drawn_paths(
    common: CommonSplit, draws: Draws, per_class: Sequence[int | None]
) -> list[tuple[int, str, int, str]]:
    """Rows of draw, class, number from 1 and path: the first k of a class are its k."""
    most = max((count for count in per_class if count), default=0)
    paths = common.train_paths
    return [
        (draw, plain_cell(name), number, plain_cell(paths[row]))
        for draw, orders in enumerate(draws, start=1)
        for name, order in zip(common.catalog.classes, orders, strict=True)
        for number, row in enumerate(order[:most], start=1)
    ]


def describe_labeled(
    common: CommonSplit, draws: Draws, per_class: int | None
) -> dict[str, Any]:
    """How many images have labels, which classes have fewer than asked for, digests."""
    images = counts(common.catalog, common.split.train)
    chosen = [labeled_rows(orders, per_class) for orders in _apart(draws, per_class)]
    short = [name for name, has in images.items() if per_class and has < per_class]
    return {
        "per_class": shown(per_class),
        "images": len(chosen[0]),
        "short_classes": short,
        "digests": [rows_digest(common.train_paths, rows) for rows in chosen],
    }


def describe_curves(
    common: CommonSplit,
    draws: Draws,
    per_class: Sequence[int | None],
    *,
    seed: int,
    systems: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The content of few_labels.json: images, draws, and each system's results."""
    return {
        "version": bmjax.__version__,
        "data_fingerprint": common.catalog.fingerprint,
        "split": common.name,
        "fold": common.fold,
        "split_seed": common.seed,
        "split_digest": common.digest,
        "classes": list(common.catalog.classes),
        "n_train": len(common.split.train),
        "n_test": len(common.split.test),
        "seed": seed,
        "draws": len(draws),
        "per_class": [shown(count) for count in per_class],
        "strengths": list(STRENGTHS),
        "labeled": [describe_labeled(common, draws, count) for count in per_class],
        "systems": list(systems),
    }


def result_rows(systems: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """RESULT_COLUMNS of all results; what a classifier does not have is empty."""
    return [
        [plain_cell(one["name"]), *(result.get(key, "") for key in RESULT_COLUMNS[1:])]
        for one in systems
        for result in one["results"]
    ]


def label_curve(
    name: str,
    train: np.ndarray,
    test: np.ndarray,
    identity: dict[str, Any],
    *,
    common: CommonSplit,
    draws: Draws,
    per_class: Sequence[int | None],
    seed: int,
    folder: Path,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Metrics on the test part for each number of labels, draw and classifier.

    Args:
        name: of the system, for what is said.
        train: float32 [n, F], features of the training part, may be mapped from disk.
        test: float32 [m, F].
        identity: which features these are; others have another.
        common: the images and their split.
        draws: of `draw_images`.
        per_class: labeled images per class; None: all.
        seed: of the draws.
        folder: keeps each fit, and gives those that it has.
        say: hears of each fit.
    """
    labels = common.catalog.labels
    data = SplitFeatures(
        train,
        test,
        labels[common.split.train],
        labels[common.split.test],
        tuple(common.catalog.classes),
    )
    scale = feature_scale(train)
    results = []
    for count in per_class:
        for draw, orders in enumerate(_apart(draws, count), start=1):
            rows = labeled_rows(orders, count)
            asked = {
                "features": identity,
                "data_fingerprint": common.catalog.fingerprint,
                "split_digest": common.digest,
                "labeled": rows_digest(common.train_paths, rows),
                "per_class": shown(count),
                "draw": draw,
                "seed": seed,
                "strengths": list(STRENGTHS),
                "version": bmjax.__version__,
            }
            path = folder / f"{short_key(asked)}.json"
            found = _found(path)
            if found is None:
                found = judge_labeled(data, rows, scale=scale, seed=seed)
                write_json(path, {"asked": asked, "found": found})
            results += [
                {"per_class": shown(count), "draw": draw, "classifier": kind, **metrics}
                for kind, metrics in found.items()
            ]
            say(
                f"{name}: {shown(count)} per class, draw {draw}: "
                "accuracy {accuracy:.3f}, macro F1 {macro_f1:.3f}".format(
                    **found["logistic"]
                )
            )
    return results


def _found(path: Path) -> dict[str, Any] | None:
    """What was kept of an earlier start; None: nothing, or it is damaged."""
    try:
        found = read_json_object(path)["found"]
        for metrics in found.values():
            for key in ("accuracy", "macro_f1"):
                float(metrics[key])
        found["logistic"]
        return found
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def shown(per_class: int | None) -> int | str:
    """A number of labeled images per class as it is written: None is "all"."""
    return "all" if per_class is None else per_class


def short_key(content: dict[str, Any]) -> str:
    """A name of 16 letters for a file, from what it was made of."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _apart(draws: Draws, per_class: int | None) -> Draws:
    """The draws that differ: all training images are the same in each."""
    return draws[:1] if per_class is None else draws
