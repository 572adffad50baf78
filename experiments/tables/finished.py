"""The files of one finished run, read and held against each other."""

from typing import Any, NamedTuple

from bmjax.errors import DataError
from bmjax.evals.classification import metrics_of_confusion
from bmjax.evals.confusion import Counts, confusion_matrix, counts_of
from bmjax.evals.predictions import Predictions
from bmjax.report.run_files import read_run_files
from experiments.tables.document import METRICS
from experiments.tables.plans import Job

_NEEDED = ("data_fingerprint", "network", "n_train", "n_test", "pretrained_on")


class FinishedRun(NamedTuple):
    """A run of a plan, its results.json, and what its predictions.csv holds."""

    job: Job
    results: dict[str, Any]
    predictions: Predictions
    counts: Counts


def read_finished(job: Job) -> FinishedRun:
    """Read a finished run.

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
    run = read_run_files(job.workdir)
    results, predictions = run.results, run.predictions
    if missing := [key for key in (*_NEEDED, "per_class") if key not in results]:
        raise DataError(
            f"results.json in {name!r} cannot be used (it lacks {', '.join(missing)}); "
            "move the folder away and run it again"
        )
    if len(predictions.paths) != results["n_test"]:
        raise DataError(
            f"predictions.csv in {name!r} has {len(predictions.paths):,} lines, and "
            f"results.json says {results['n_test']} test images"
        )
    confusion = confusion_matrix(
        predictions.labels, predictions.predicted, len(predictions.classes)
    )
    _check_agree(name, results, metrics_of_confusion(confusion, predictions.classes))
    pretrained_on = results["pretrained_on"]
    if f"pretrained_on_{pretrained_on}" not in name and "pretrained_on" in name:
        raise DataError(
            f"the run in {name!r} was pretrained on {pretrained_on!r}, which is not "
            "what its folder says; the two kinds are not mixed"
        )
    return FinishedRun(job, results, predictions, counts_of(confusion))


def _check_agree(name: str, results: dict[str, Any], counted: dict[str, Any]) -> None:
    """The two files of a run have to give the same metrics, in numbers."""
    stored = {entry.get("abbreviation"): entry for entry in results["per_class"]}
    classes = [entry["abbreviation"] for entry in counted["per_class"]]
    if list(stored) != classes:
        raise DataError(
            f"predictions.csv in {name!r} has the classes {', '.join(classes)}, and "
            f"results.json beside it {', '.join(map(str, stored))}"
        )
    for entry in counted["per_class"]:
        for key in METRICS:
            value = stored[entry["abbreviation"]].get(key)
            if not _near(value, entry[key]):
                raise DataError(
                    f"results.json in {name!r} gives {key} {value!r} for "
                    f"{entry['abbreviation']}, and predictions.csv {entry[key]!r}"
                )


def _near(stored: Any, counted: float | None) -> bool:
    if counted is None or not isinstance(stored, int | float):
        return stored is counted
    return abs(stored - counted) < 1e-6
