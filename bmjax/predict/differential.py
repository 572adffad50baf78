"""The differential count of what was predicted, to read."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bmjax.console.text_table import aligned
from bmjax.data.matek import class_name
from bmjax.evals.intervals import clopper_pearson

_LEVEL = 0.95
NOT_A_DEVICE = (
    "Not a medical device: nothing here has been validated for diagnosis. An interval\n"
    "says what drawing other cells would change, and nothing of cells named wrongly."
)


def differential(classes: Sequence[str], predicted: Counter) -> list[str]:
    """One line a class: how many, which share, its exact (Clopper-Pearson) interval.

    Args:
        classes: every class that can be predicted.
        predicted: how many images were called each.
    """
    total = predicted.total()
    rows = [("class", "n", "share", f"{_LEVEL:.0%} interval", "")]
    for name in classes:
        count = predicted[name]
        low, high = map(float, clopper_pearson(count, total, level=_LEVEL))
        full = class_name(name)
        rows.append(
            (
                name,
                f"{count:,}",
                f"{100 * count / total:.2f} %",
                f"{100 * low:.2f} to {100 * high:.2f} %",
                full if full != name else "",
            )
        )
    rows.append(("all", f"{total:,}", "100.00 %", "", ""))
    return aligned(rows, left=(0, 4))


def foreign_sentences(found: dict[str, Any], scored_on: str) -> list[str]:
    """Say how many cells are unlike the run's own, and whether the case is suspect.

    Args:
        found: of `foreign_cells`.
        scored_on: part of the run that the distances are percentiles of.
    """
    low, high = found["interval"]
    lines = [
        f"{found['foreign']:,} of {found['cells']:,} cells ({found['percent']:.1f} %, "
        f"{low:.1f} to {high:.1f} %) are less like the training cells than 95 % of the "
        f"run's own; {found['expected']:.0f} % of its {scored_on} are."
    ]
    if found["suspect"]:
        lines.append(
            "note: these may be cells of another stain, microscope or kind than those "
            "that the run was trained on; do not rely on their names"
        )
    return lines
