"""What prototypes have come to stand for, and the images that no system gets."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.errors import DataError
from bmjax.evals.predictions import Predictions

TWIN = 0.99  # cosine from which two prototypes are one (ours, as in methods/swav.py)
_BLOCK = 4096  # images, or prototypes, compared at a time: bounds the memory


def prototype_atlas(
    embeddings: np.ndarray,
    prototypes: np.ndarray,
    labels: np.ndarray,
    paths: Sequence[str],
    classes: Sequence[str],
    *,
    nearest: int = 8,
) -> dict[str, Any]:
    """Describe each prototype by the images whose first choice it is, ready for JSON.

    Args:
        embeddings: float32 [n, D], of any length; compared by direction.
        prototypes: float32 [D, K].
        labels: int [n].
        paths: of the images.
        classes: names, by number.
        nearest: images named for each prototype, the nearest first.

    Returns:
        `prototypes`: for each `images` (whose first choice it is), `class` (the most
        common among them, None if there are none), `purity` (that class's fraction) and
        `nearest` (path, label, cosine); `dead`: those that are nobody's first choice;
        `duplicates`: pairs with a cosine above TWIN; `effective`: how many evenly used
        prototypes would have the same entropy; `purity`: fraction of images whose class
        is the most common of their prototype, beside `largest_class`, which one
        prototype for everything would reach; `mutual_information` with the classes,
        normalized, 0 to 1.
    """
    count, number = len(labels), prototypes.shape[1]
    columns = _unit(prototypes, axis=0)
    most = min(nearest, count)
    first = np.empty(count, np.int64)
    best = np.full((0, number), -np.inf, np.float32)
    rows = np.zeros((0, number), np.int64)
    for start in range(0, count, _BLOCK):
        scores = prototype_cosines(embeddings[start : start + _BLOCK], prototypes)
        first[start : start + len(scores)] = scores.argmax(axis=1)
        here = np.arange(start, start + len(scores))[:, None]
        best = np.concatenate([best, scores])
        rows = np.concatenate([rows, np.broadcast_to(here, scores.shape)])
        if len(best) > most:
            kept = np.argpartition(-best, most - 1, axis=0)[:most]
            best = np.take_along_axis(best, kept, axis=0)
            rows = np.take_along_axis(rows, kept, axis=0)
    order = np.lexsort((rows, -best), axis=0)
    best = np.take_along_axis(best, order, axis=0)
    rows = np.take_along_axis(rows, order, axis=0)
    table = np.bincount(first * len(classes) + labels, minlength=number * len(classes))
    table = table.reshape(number, len(classes))
    used, common = table.sum(axis=1), table.max(axis=1)
    fractions = used[used > 0] / count
    return {
        "images": count,
        "dead": np.flatnonzero(used == 0).tolist(),
        "duplicates": _duplicates(columns),
        "effective": float(np.exp(-np.sum(fractions * np.log(fractions)))),
        "purity": float(common.sum() / count),
        "largest_class": float(np.bincount(labels).max() / count),
        "mutual_information": _mutual_information(table),
        "prototypes": [
            {
                "images": int(used[k]),
                "class": classes[table[k].argmax()] if used[k] else None,
                "purity": float(common[k] / used[k]) if used[k] else None,
                "nearest": [
                    {
                        "path": paths[row],
                        "label": classes[labels[row]],
                        "cosine": round(float(cosine), 4),
                    }
                    for row, cosine in zip(rows[:, k], best[:, k], strict=True)
                ],
            }
            for k in range(number)
        ],
    }


def hardest(
    systems: Sequence[Predictions], *, least: int | None = None
) -> list[dict[str, Any]]:
    """The images that every system that was tested on them gets wrong.

    Such an image is hard, or its label is wrong: it is worth another look. Systems may
    be folds, methods or both.

    Args:
        systems: predictions; they may be of different images.
        least: systems that must have been tested on an image; as many as on any image
            if not given.

    Returns:
        for each such image `path`, `label`, `tested` (by how many), `predicted`
        (class to how often) and `agreed` (the greatest fraction for one class); those
        on which most agree first, then by path.

    Raises:
        DataError: two systems have another label for an image.
    """
    label: dict[str, tuple[str, str]] = {}
    answered: dict[str, list[str]] = {}
    for system in systems:
        names = np.array(system.classes, dtype=object)
        truth, answers = names[system.labels], names[system.predicted]
        for path, name, answer in zip(system.paths, truth, answers, strict=True):
            known, source = label.setdefault(path, (name, system.source))
            if known != name:
                raise DataError(
                    f"{path} is {known} in {source} and {name} in {system.source}; "
                    "give tables with the same labels"
                )
            answered.setdefault(path, []).append(answer)
    if least is None:
        least = max(map(len, answered.values()), default=1)
    hard = [
        {
            "path": path,
            "label": label[path][0],
            "tested": len(answers),
            "predicted": dict(Counter(answers).most_common()),
            "agreed": max(Counter(answers).values()) / len(answers),
        }
        for path, answers in answered.items()
        if len(answers) >= least and label[path][0] not in answers
    ]
    return sorted(
        hard, key=lambda entry: (-entry["agreed"], -entry["tested"], entry["path"])
    )


def _duplicates(columns: np.ndarray) -> list[list[int]]:
    """Pairs of prototypes with a cosine above TWIN, the lower number first."""
    pairs = []
    for start in range(0, columns.shape[1], _BLOCK):
        alike = columns[:, start : start + _BLOCK].T @ columns
        for row, column in np.argwhere(alike > TWIN):
            if start + row < column:
                pairs.append([int(start + row), int(column)])
    return pairs


def _mutual_information(table: np.ndarray) -> float | None:
    """Of rows and columns, over the mean of their entropies; None where both are 0."""
    joint = table / table.sum()
    by_row, by_column = joint.sum(axis=1), joint.sum(axis=0)

    def entropy(fractions: np.ndarray) -> float:
        fractions = fractions[fractions > 0]
        return float(-np.sum(fractions * np.log(fractions)))

    mean = (entropy(by_row) + entropy(by_column)) / 2
    return (2 * mean - entropy(joint.ravel())) / mean if mean else None


def prototype_cosines(embeddings: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Cosines of embeddings float [n, D] with prototypes [D, K], float32 [n, K]."""
    return _unit(embeddings, axis=1) @ _unit(prototypes, axis=0)


def _unit(vectors: np.ndarray, *, axis: int) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    length = np.linalg.norm(vectors, axis=axis, keepdims=True)
    return vectors / np.maximum(length, 1e-12)
