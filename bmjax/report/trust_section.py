"""Which names to trust: thresholds from validation cells, measured on test cells."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.matek import RARE
from bmjax.errors import ConfigError
from bmjax.evals.abstention import RiskCoverage, accepting_threshold, risk_coverage
from bmjax.evals.calibration import top_label
from bmjax.evals.calibration_file import (
    FILE,
    VALIDATION_PART,
    calibrated,
    read_calibration,
)
from bmjax.evals.conformal import fewest_cells, prediction_sets, set_thresholds
from bmjax.evals.intervals import clopper_pearson
from bmjax.evals.predictions import Predictions, as_written
from bmjax.evals.trust_defaults import SET_LEVEL
from bmjax.report.curves import MOST_POINTS
from bmjax.report.drawing import line_path, nice_ticks, short, stretched, text_label
from bmjax.report.metric_tables import Shown
from bmjax.report.words import NONE, count, listing

_ERRORS = (0.01, 0.02, 0.05)  # that are asked for
_INTERVAL = 0.95


class TrustShown(NamedTuple):
    """The section of a run; of one without validation cells the sentences alone."""

    sentences: list[str]
    curve: str = ""  # SVG
    accepted: Sequence[Sequence] = ()  # a head and rows: texts, then `Shown`
    sets: Sequence[Sequence] = ()
    notes: Sequence[str] = ()


def describe_trust(workdir: Path, predictions: Predictions) -> TrustShown:
    """The section of a run's page.

    Args:
        workdir: of the run.
        predictions: of its test part, with probabilities.

    Raises:
        CheckpointError: what it kept of its validation cells is damaged.
    """
    try:
        kept = read_calibration(workdir)
    except ConfigError:
        return TrustShown([_nothing_kept(workdir)])
    if predictions.probabilities is None or predictions.classes != kept.classes:
        return TrustShown(
            [
                "Nothing is said of single names: the predictions have no "
                "probabilities for the classes of the validation cells."
            ]
        )
    known = calibrated(kept.probabilities, kept)
    shares = calibrated(as_written(predictions.probabilities), kept)
    sure, right = top_label(kept.labels, known)
    confidence, correct = top_label(predictions.labels, shares)
    chosen = [accepting_threshold(sure, right, error=error) for error in _ERRORS]
    by_class = set_thresholds(known, kept.labels, level=SET_LEVEL, by_class=True)
    marginal = set_thresholds(known, kept.labels, level=SET_LEVEL)
    from markupsafe import Markup

    how = "" if kept.held_out == VALIDATION_PART else f" ({kept.held_out})"
    return TrustShown(
        [
            f"Probabilities are calibrated by {count(len(kept.labels))} validation "
            f"cells{how}, and all thresholds are chosen on these; what is measured is "
            f"measured on {count(len(correct))} test cells. A cell is accepted where "
            "its highest probability reaches the threshold. The curve has the error "
            "among accepted cells for every threshold; the dashed lines are the errors "
            "asked for."
        ],
        Markup(_curve(risk_coverage(confidence, correct), _ERRORS)),
        [
            ("Error asked for", "Threshold", "Accepted", "Error among them"),
            *(
                _accepted_row(error, threshold, confidence, correct)
                for error, threshold in zip(_ERRORS, chosen, strict=True)
            ),
        ],
        [
            (
                f"For {_whole(SET_LEVEL)} of",
                "Holds the class",
                "Lowest class",
                "Classes in it",
            ),
            _set_row("all cells", marginal, shares, predictions),
            _set_row("each class", by_class, shares, predictions),
        ],
        _notes(kept.labels, kept.classes, by_class, chosen),
    )


def _nothing_kept(workdir: Path) -> str:
    if (workdir / FILE).exists():
        why, cure = (
            "the run had no validation cells",
            "train with --config.data.validation_share=0.1",
        )
    else:
        why, cure = (
            f"the run holds no {FILE}, which runs of older versions lack",
            "remove its report.html and run its command again, which does not train,",
        )
    return (
        f"No threshold was chosen, and there are no sets of classes: {why}; {cure} to "
        "have them."
    )


def _accepted_row(
    error: float, threshold: float | None, confidence: np.ndarray, correct: np.ndarray
) -> list:
    if threshold is None:
        return [_whole(error), Shown(NONE, ""), Shown("0.0 %", ""), Shown(NONE, "")]
    accepted = confidence >= threshold
    wrong = int(np.sum(accepted & ~correct))
    return [
        _whole(error),
        Shown(f"{threshold:.3f}", ""),
        _percent(int(accepted.sum()), len(correct)),
        _percent(wrong, int(accepted.sum())),
    ]


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _set_row(
    name: str, thresholds: np.ndarray, shares: np.ndarray, predictions: Predictions
) -> list:
    """Coverage over cells, of the class where it is lowest, and the mean size."""
    sets, labels = prediction_sets(shares, thresholds), predictions.labels
    held = sets[np.arange(len(labels)), labels]
    cells = np.bincount(labels, minlength=sets.shape[1])
    covered = np.bincount(labels, held, minlength=len(cells))
    enough = np.flatnonzero(cells >= RARE)
    lowest = Shown(NONE, "")
    if len(enough):
        worst = int(enough[np.argmin(covered[enough] / cells[enough])])
        shown = _percent(int(covered[worst]), int(cells[worst]))
        lowest = Shown(f"{predictions.classes[worst]} {shown.value}", shown.interval)
    size = f"{sets.sum(axis=1).mean():.2f}"
    alone = f"{100 * np.mean(sets.sum(axis=1) == 1):.0f} % have one"
    return [name, _percent(int(held.sum()), len(held)), lowest, Shown(size, alone)]


def _percent(part: int, whole: int) -> Shown:
    if not whole:
        return Shown(NONE, "")
    low, high = (100 * float(e) for e in clopper_pearson(part, whole, level=_INTERVAL))
    return Shown(f"{100 * part / whole:.1f} %", f"{low:.1f} to {high:.1f}")


def _notes(
    labels: np.ndarray,
    classes: Sequence[str],
    by_class: np.ndarray,
    chosen: Sequence[float | None],
) -> list[str]:
    notes = [
        "A threshold is the lowest of twenty at which the exact upper bound of the "
        "error on validation cells is at most what is asked for. Classes are those in "
        "a set, the mean; the lowest class is that with the lowest share among "
        f"classes of {RARE} test cells or more. Small: 95 % intervals (exact)."
    ]
    none = [_whole(e) for e, t in zip(_ERRORS, chosen, strict=True) if t is None]
    if none:
        notes.append(
            f"No threshold keeps an error of {listing(none)}: there are too few "
            "validation cells for such a bound, or too many wrong ones among the most "
            "probable."
        )
    if np.isinf(by_class).any():
        counts = np.bincount(labels, minlength=len(classes))
        few = [
            f"{name} ({counts[i]})"
            for i, name in enumerate(classes)
            if np.isinf(by_class[i])
        ]
        notes.append(
            f"In every set for each class: {listing(few)}, as a class needs "
            f"{fewest_cells(SET_LEVEL)} validation cells for {_whole(SET_LEVEL)}."
        )
    return notes


def _curve(curve: RiskCoverage, errors: Sequence[float]) -> str:
    """Error among the accepted cells against their share, as SVG."""
    # The first few cells have an error of 0 or 1 by chance: from 1 % on it is drawn.
    first = len(curve.risk) // 100
    coverage, risk = curve.coverage[first:], curve.risk[first:]
    top = max(float(risk.max()), max(errors)) * 1.2
    kept = np.unique(np.linspace(0, len(risk) - 1, MOST_POINTS).astype(int))
    places = [(float(coverage[i]), 1 - float(risk[i]) / top) for i in kept]
    marks = [
        f'<line class="grid" x1="{tick:.0%}" x2="{tick:.0%}" y1="0" y2="100%"/>'
        f'<text class="mid" x="{tick:.0%}" y="100%" dy="1.4em">{100 * tick:.0f}</text>'
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    marks += [
        f'<line class="grid" x1="0" x2="100%" y1="{1 - tick / top:.2%}" '
        f'y2="{1 - tick / top:.2%}"/><text class="end" x="-6" '
        f'y="{1 - tick / top:.2%}" dy=".32em">{short(100 * tick)}</text>'
        for tick in nice_ticks(0.0, top, 5)
    ]
    marks += [
        f'<line class="level" x1="0" x2="100%" y1="{1 - error / top:.2%}" '
        f'y2="{1 - error / top:.2%}"/>'
        for error in errors
    ]
    line = f'<path class="line" d="{line_path(places)}"/>'
    return (
        '<svg class="reliability risk" role="img" aria-label="Error among accepted '
        f'cells against their share">{"".join(marks)}{stretched(line)}'
        f"{text_label('3%', '5%', 'wrong, %', '')}"
        f"{text_label('100%', '100%', 'accepted, %', 'end', rise='2.8em')}</svg>"
    )
