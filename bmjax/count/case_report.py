"""The page of a case from its count."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.count.case_cells import CaseCells, expected_gains
from bmjax.count.countable import Countable
from bmjax.count.review_table import Reviewed
from bmjax.data.matek import class_name
from bmjax.report.case_page import Case, CaseCell, Figures, Threshold
from bmjax.report.model_card import DISCLAIMER
from bmjax.report.words import count


def page_cells(
    cells: CaseCells, review: Reviewed, doubtful: np.ndarray, classes: int
) -> list[CaseCell]:
    """The cells as the page shows them; doubtful is bool [n]."""
    counts = np.bincount(cells.predicted, minlength=classes)
    gains = expected_gains(cells.probabilities, cells.predicted, counts)
    foreign = cells.foreign
    return [
        CaseCell(
            path=path,
            predicted=int(cells.predicted[i]),
            label=int(review.labels[i]),
            reviewed=bool(review.reviewed[i]),
            probabilities=cells.probabilities[i],
            gain=float(gains[i]),
            foreign=bool(foreign[i]),
            doubtful=bool(doubtful[i]),
            picture=cells.pictures[i],
            who=review.who[i],
            when=review.when[i],
        )
        for i, path in enumerate(cells.paths)
    ]


def page_of_case(
    title: str,
    counted: dict[str, Any],
    table: Countable,
    *,
    digest: str,
    notes: Sequence[str],
    corrected: str,
    agreement: str,
    provenance: Sequence[tuple[str, str]],
) -> Case:
    """What the page says beside its cells.

    Args:
        title: of the page.
        counted: of `count_case`.
        table: which classes count.
        digest: of the case.
        notes: sentences that come first.
        corrected: how the corrected figures were made; "" where there are none.
        agreement: of labels before and after a review, or "".
        provenance: names and values.
    """
    names = [row["class"] for row in counted["classes"]]
    number = {name: i for i, name in enumerate(names)}
    rows = [
        _figures(row, row["class"], class_name(row["class"]), (i,))
        for i, row in enumerate(counted["classes"])
    ]
    ratio = counted["me_ratio"]
    myeloid, erythroid = (
        tuple(i for i, one in enumerate(table.ratio) if one == kind and table.counts[i])
        for kind in ("myeloid", "erythroid")
    )
    low, high = ratio["interval"]
    value = ratio["ratio"]
    if value is None and ratio["myeloid"]:
        value = float("inf")
    smears = counted["smears"]
    return Case(
        title=title,
        data=f"{count(counted['cells'])} cells, {smears} smear"
        + ("s" if smears != 1 else ""),
        digest=digest,
        names=tuple(names),
        titles=tuple(map(class_name, names)),
        classes=tuple(r for r, c in zip(rows, table.counts, strict=True) if c),
        apart=tuple(r for r, c in zip(rows, table.counts, strict=True) if not c),
        lineages=tuple(
            _figures(
                row,
                row["lineage"],
                row["lineage"],
                tuple(number[name] for name in row["classes"]),
            )
            for row in counted["lineages"]
        ),
        ratio=(
            "Myeloid to erythroid",
            myeloid,
            erythroid,
            value,
            (low, float("inf") if high is None else high),
        ),
        thresholds=tuple(
            Threshold(
                name=row["cells"],
                members=tuple(number[name] for name in row["classes"]),
                percent=row["percent"],
                share=row["share"],
                verdict=row["verdict"],
                source=row["source"],
                corrected=row["corrected_verdict"] or "",
            )
            for row in counted["verdicts"]
        ),
        level=counted["level"],
        corrected=corrected,
        agreement=agreement,
        notes=tuple(notes),
        provenance=tuple(provenance),
        disclaimer=DISCLAIMER,
    )


def _figures(
    row: dict[str, Any], name: str, title: str, members: tuple[int, ...]
) -> Figures:
    corrected = None
    if row["corrected"] is not None:
        corrected = (row["corrected"], *row["corrected_interval"])
    interval = None if row["interval"] is None else tuple(row["interval"])
    return Figures(name, title, members, row["n"], row["percent"], interval, corrected)
