"""The files of one finished run, read and held against each other."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.errors import DataError
from bmjax.evals.confusion import confusion_matrix
from bmjax.evals.predictions import read_predictions
from bmjax.evals.ranking import Counts, counts_of
from experiments.tables.counts import rates
from experiments.tables.document import FIGURES
from experiments.tables.systems import Job


def read_run(job: Job) -> tuple[dict[str, Any], Counts]:
    """results.json of a finished run, and the counts of its predictions.csv.

    Raises:
        DataError: the run is not finished, its files do not agree or hold what is no
            number, or it is of the other kind of pretraining.
    """
    name = str(job.workdir)
    if not (job.workdir / "report.html").exists():
        raise DataError(
            f"the run in {name!r} is not finished; start the same command without "
            "--no-run"
        )
    try:
        results = json.loads((job.workdir / "results.json").read_text())
        classes = [entry["abbreviation"] for entry in results["per_class"]]
        pretrained_on, tested = results["pretrained_on"], results["n_test"]
        results["data_fingerprint"], results["network"], results["n_train"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"results.json in {name!r} cannot be used ({type(error).__name__}: "
            f"{error}); move the folder away and run it again"
        ) from None
    counts = _counted(job.workdir / "predictions.csv", classes)
    _check_agree(name, results, counts, tested)
    if f"pretrained_on_{pretrained_on}" not in name and "pretrained_on" in name:
        raise DataError(
            f"the run in {name!r} was pretrained on {pretrained_on!r}, which is not "
            "what its folder says; the two kinds are not mixed"
        )
    return results, counts


def _counted(path: Path, classes: list[str]) -> Counts:
    found = read_predictions(path)
    if list(found.classes) != classes:
        raise DataError(
            f"{str(path)!r} has the classes {', '.join(found.classes)}, and "
            f"results.json beside it {', '.join(classes)}"
        )
    return counts_of(confusion_matrix(found.labels, found.predicted, len(classes)))


def _check_agree(name: str, results: dict, counts: Counts, tested: int) -> None:
    """The two files of a run have to tell the same story, in numbers."""
    precision, recall, f1 = rates(counts)
    total = counts.support.sum()
    if total != tested:
        raise DataError(
            f"predictions.csv in {name!r} has {total:,} lines, and results.json says "
            f"{tested:,} test images"
        )
    for row, entry in enumerate(results["per_class"]):
        for key, values in zip(FIGURES, (precision, recall, f1), strict=True):
            said, counted = entry[key], values[row]
            absent = np.isnan(counted)
            if absent != (said is None) or (not absent and not _near(said, counted)):
                raise DataError(
                    f"results.json in {name!r} gives {key} {said!r} for "
                    f"{entry['abbreviation']}, and predictions.csv "
                    f"{'no test image' if absent else f'{counted:.6f}'}"
                )


def _near(said: Any, counted: float) -> bool:
    return isinstance(said, int | float) and abs(said - counted) < 1e-6
