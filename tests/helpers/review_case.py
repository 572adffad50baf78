"""A small case with a count, as its page shows it."""

import numpy as np

from bmjax.evals.intervals import clopper_pearson
from bmjax.report.case_page import Case, CaseCell, Figures, Threshold

NAMES = ("BLA", "NGS", "EBO", "LYT", "ART", '</script><b>"&')
COUNTABLE = (0, 1, 2, 3)
MYELOID, ERYTHROID = (0, 1), (2,)
THRESHOLDS = (5.0, 10.0, 20.0)


def make_cells(count: int, seed: int = 0) -> list[CaseCell]:
    random = np.random.default_rng(seed)
    cells = []
    for number in range(count):
        shares = random.dirichlet(np.ones(len(NAMES)) / 2)
        predicted = int(shares.argmax())
        cells.append(
            CaseCell(
                path=f"smear/=cell,{number}.png",
                predicted=predicted,
                label=predicted,
                reviewed=False,
                probabilities=shares,
                gain=float(1 - shares.max()),
                foreign=number % 17 == 0,
                doubtful=bool(shares.max() < 0.5),
                picture="",
            )
        )
    return cells


def count_case(labels: np.ndarray) -> Case:
    """The count of these labels by Python's own formulas."""
    counts = np.bincount(labels[labels >= 0], minlength=len(NAMES))
    total = int(counts[list(COUNTABLE)].sum())

    def row(name, members):
        n = int(counts[list(members)].sum())
        if not total or not set(members) <= set(COUNTABLE):
            return Figures(name, name, members, n, None, None)
        low, high = clopper_pearson(n, total, level=0.95)
        return Figures(
            name,
            name,
            members,
            n,
            100 * n / total,
            (100 * float(low), 100 * float(high)),
        )

    above, below = (int(counts[list(group)].sum()) for group in (MYELOID, ERYTHROID))
    value, ends = None, (0.0, float("inf"))
    if above + below:
        value = above / below if below else float("inf")
        pair = (float(end) for end in clopper_pearson(above, above + below, level=0.95))
        ends = tuple(float("inf") if end == 1 else end / (1 - end) for end in pair)
    blasts = row("Blasts", (0,))
    return Case(
        title="Case <i>1</i>",
        data=f"{len(labels)} cells",
        digest="0fa3",
        names=NAMES,
        titles=NAMES,
        classes=tuple(row(NAMES[i], (i,)) for i in COUNTABLE),
        apart=tuple(
            row(NAMES[i], (i,)) for i in range(len(NAMES)) if i not in COUNTABLE
        ),
        lineages=(row("myeloid", MYELOID), row("erythroid", ERYTHROID)),
        ratio=("Myeloid to erythroid", MYELOID, ERYTHROID, value, ends),
        thresholds=tuple(
            Threshold(
                "Blasts", (0,), percent, blasts.percent, _verdict(blasts, percent), ""
            )
            for percent in THRESHOLDS
        ),
        level=0.95,
        corrected="",
        agreement="",
        notes=("a <note>",),
        provenance=(("run", "<run>"),),
        disclaimer="Not a medical device.",
    )


def _verdict(figures: Figures, percent: float) -> str:
    if figures.interval is None:
        return "undecided"
    low, high = figures.interval
    return (
        "at or above" if low >= percent else "below" if high < percent else "undecided"
    )
