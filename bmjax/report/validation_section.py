"""What a page says of validation images: what was chosen on them, and their metrics."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bmjax.report.metric_tables import SCORES
from bmjax.report.panels import Panel, panels
from bmjax.report.run_files import RunFiles, Series, finite, section
from bmjax.report.words import count, listing, probe_name, score

_PREFIX = "validation/"
_SHORT = {"knn_20": "20-NN", "logistic": "Logistic", "classifier": "Classifier"}


class ValidationShown(NamedTuple):
    """The section of a run that has a validation part."""

    chosen: str  # one sentence on which step is evaluated, and why
    sentences: list[str]
    head: list[str]
    rows: list[list[str]]  # of the predictors that evaluate the test images
    panels: list[Panel]  # metrics of the validations along the way


def split_series(series: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """The series of training, and those of validations."""
    of_validation = [one for one in series if one.name.startswith(_PREFIX)]
    return [one for one in series if one not in of_validation], of_validation


def describe_validation(run: RunFiles) -> ValidationShown | None:
    """The section of a run; None where it had no validation part."""
    results = section(run.results, "validation")
    if not results:
        return None
    predictors = section(results, "predictors")
    keys = [key for key in SCORES if any(key in f for f in predictors.values())]
    chosen = section(results, "chosen")
    return ValidationShown(
        chosen=chosen_sentence(chosen, run.results),
        sentences=_sentences(results, chosen),
        head=["On validation images", *(SCORES[key] for key in keys)],
        rows=[
            [predictor_name(name), *(score(metrics.get(key)) for key in keys)]
            for name, metrics in predictors.items()
        ],
        panels=_panels(split_series(run.series)[1], chosen),
    )


def validation_rows(
    runs: Sequence[tuple[str, RunFiles | None]],
) -> tuple[list[str], list[list[str]]]:
    """The validation metrics of several runs side by side, to choose a setting by.

    They are of the predictor that evaluates the test images.

    Args:
        runs: names and files of the systems; None: a table of predictions.

    Returns:
        the head, and a row of texts for each run that has a validation part; no rows
        where there are not two such runs.
    """
    keys = ["accuracy", "balanced_accuracy", "macro_f1"]
    rows = []
    for name, run in runs:
        results = section(run.results, "validation") if run else {}
        if run is None or not results:
            continue
        predictor = str(run.results.get("predictor"))
        metrics = section(section(results, "predictors"), predictor)
        cells = [score(metrics.get(key)) for key in keys]
        rows.append(
            [name, predictor_name(predictor), count(results.get("images")), *cells]
        )
    head = ["System", "Predictor", "Images", *(SCORES[key] for key in keys)]
    return head, rows if len(rows) > 1 else []


def predictor_name(name: str) -> str:
    """A predictor in words."""
    return "Own classifier" if name == "classifier" else probe_name(name)


def metric_words(metric: str) -> str:
    """`knn_20/macro_f1` as "macro F1 of 20-nearest neighbors"."""
    predictor, _, name = metric.partition("/")
    of = predictor_name(predictor)
    if predictor == "classifier":
        of = "the network\N{RIGHT SINGLE QUOTATION MARK}s own classifier"
    elif not of[:1].isdigit():
        of = f"the {of[:1].lower()}{of[1:]}"
    return f"{_metric_name(name)} of {of}"


def _metric_name(name: str) -> str:
    return name.replace("_f1", " F1").replace("_", " ")


def chosen_sentence(chosen: dict[str, Any], results: dict[str, Any]) -> str:
    """One sentence on which step is evaluated, and how it was chosen."""
    if not chosen:
        steps = count(results.get("steps"))
        return (
            f"No step was chosen: the state after the last one, {steps}, is evaluated."
        )
    metric = metric_words(str(chosen.get("metric")))
    number, steps = finite(chosen.get("candidates")), count(chosen.get("last_step"))
    among = "1 candidate" if number == 1 else f"{count(number)} candidates"
    text = (
        f"Step {count(chosen.get('step'))} of {steps} was chosen by validation "
        f"{metric} among {among} on {count(chosen.get('images'))} validation images "
        f"({score(chosen.get('value'))}"
    )
    if chosen.get("step") != chosen.get("last_step"):
        text += f"; the last step, {steps}, has {score(chosen.get('last_value'))}"
    return text + ")."


def _sentences(results: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    share = finite(results.get("share")) or 0.0
    counts = section(results, "counts")
    absent = [name for name, images in counts.items() if not images]
    found = [
        f"{count(results.get('images'))} images of the training part ({share:.3g} of "
        "each class, rounded down, or whole groups) were kept for validation: neither "
        "the network nor its probes are fitted on them, and no test image is among "
        "them."
    ]
    if absent:
        found.append(
            f"Averages leave out {listing(absent)}, of which there "
            f"{'is' if len(absent) == 1 else 'are'} no validation image"
            f"{'' if len(absent) == 1 else 's'}."
        )
    if chosen:
        found.append(
            "The chosen step\N{RIGHT SINGLE QUOTATION MARK}s own validation metric is "
            "the highest of several and so somewhat too high; its test metrics are not."
        )
    if seen := finite(results.get("seen_before")):
        found.append(
            f"The weights that the run started from had been trained on {seen:,.0f} of "
            "the validation images: these metrics are too high."
        )
    return found


def _panels(series: Sequence[Series], chosen: dict[str, Any]) -> list[Panel]:
    """A panel for each metric along the way; that of the choice says what it chose."""
    drawn = []
    for one in sorted(series, key=lambda one: one.name):
        metric = one.name.removeprefix(_PREFIX)
        predictor, _, name = metric.partition("/")
        title = f"{_SHORT.get(predictor, predictor)}, {_metric_name(name)}"
        (panel,) = panels([one])
        last = f"last {panel.last}"
        if metric == chosen.get("metric"):
            step = count(chosen.get("step"))
            last = f"{score(chosen.get('value'))} at {step}, {last}"
        drawn.append(panel._replace(title=title, last=last))
    return drawn
