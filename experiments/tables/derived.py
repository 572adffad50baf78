"""What the published figures imply: the documents of the paper's Tables 2, 3 and 4."""

from typing import Any

import numpy as np

from bmjax.data.matek import RARE
from bmjax.evals.confusion import ClassMetrics, Counts, metrics_of_counts
from experiments.tables import published
from experiments.tables.document import METRICS, compatible_counts, system
from experiments.tables.places import decide_places

NAMES = {
    "baseline": "Matek et al.",
    "resnext50": "ResNeXt-50",
    "resnext50_mixup": "ResNeXt-50 + mixup",
    "swav": "SwAV + linear",
    "supcon": "SupCon + linear",
}
TITLES = {
    "table2": "Table 2: ResNeXt-50 trained with cross-entropy, 20 epochs",
    "table3": "Table 3: supervised training, 100 epochs, five folds",
    "table4": "Table 4: SwAV (no labels) and SupCon (labels), 200 epochs",
}
INTERVALS = (
    "95 % intervals. Those of a class's figures and of accuracy are exact "
    "(Clopper-Pearson); those of the other averages are of a parametric bootstrap from "
    "the counts (2,000 draws, seed 0). They speak of the test images alone, not of "
    "other training runs, and the bootstrap does not move a class of which all or none "
    "was found: see its own interval."
)
_TWO_DECIMALS = (
    "Its precision and recall are published to two decimals, as means of five folds: "
    "counts over the whole release, and all that rests on them, are approximate."
)


def published_table(name: str) -> dict[str, Any]:
    """The document of a published table: "systems" by key, "decided_by", "notes".

    Args:
        name: "table2", "table3" or "table4".
    """
    make = {"table2": _table2, "table3": _table3, "table4": _table4}[name]
    systems = {"baseline": _baseline(), **make()}
    return {
        "table": name,
        "title": TITLES[name],
        "kind": "published",
        "systems": systems,
        "decided_by": decide_places(published.NAMES, systems),
        "notes": [INTERVALS],
    }


def rare_classes() -> tuple[str, ...]:
    """Classes with fewer than 20 images in the authors' single test part."""
    images = zip(published.NAMES, published.test_images(), strict=True)
    return tuple(name for name, number in images if number < RARE)


def _baseline() -> dict[str, Any]:
    found = {
        key: published.column("table3", "baseline_mean", figure=key)
        for key in ("precision", "recall")
    }
    images = published.images()
    return system(
        published.NAMES,
        ClassMetrics(**found, f1=_f1(**found), **_no_counts(images)),
        rare_classes(),
        name=NAMES["baseline"],
        protocol="five folds of the release, strict matching",
        source="Matek et al. 2021, quoted in the paper's Tables 2 to 4",
        counts=compatible_counts(images, **found),
        approximate=True,
        sd={
            key: published.column("table3", "baseline_sd", figure=key) for key in found
        },
        published={
            "macro_precision": published.average(
                "table3", "baseline_mean", figure="precision"
            ),
            "macro_recall": published.average(
                "table3", "baseline_mean", figure="recall"
            ),
            "macro_f1": published.average("table2", "baseline_f1"),
        },
        notes=[
            "F1 of a class is worked out from mean precision and mean recall, as the "
            "paper did; the mean of the folds' F1 can be another.",
            _TWO_DECIMALS,
        ],
    )


def _table2() -> dict[str, Any]:
    f1 = published.column("table2", "resnext50_f1")
    return {
        "resnext50": system(
            published.NAMES,
            ClassMetrics(None, None, f1, **_no_counts(published.test_images())),
            rare_classes(),
            name=NAMES["resnext50"],
            protocol="one 80/20 split, 34,281 test images",
            source="paper, Table 2",
            counts=None,
            approximate=True,
            published={
                "macro_f1": published.average("table2", "resnext50_f1"),
                **published.overall("resnext50_20epochs"),
            },
            notes=[
                "F1 alone is published, to two decimals: neither counts nor accuracy "
                "nor intervals can be worked out. Macro precision and recall stand in "
                "the text, as differences from the baseline.",
            ],
        )
    }


def _table3() -> dict[str, Any]:
    return {key: _five_folds(key) for key in ("resnext50", "resnext50_mixup")}


def _five_folds(key: str) -> dict[str, Any]:
    images = published.images()
    found = {
        figure: published.column("table3", f"{key}_mean", figure=figure)
        for figure in ("precision", "recall")
    }
    notebook = {"name": "notebook_table3_f1", "system": key}
    sd = {
        figure: published.column("table3", f"{key}_sd", figure=figure)
        for figure in found
    }
    return system(
        published.NAMES,
        ClassMetrics(
            **found,
            f1=published.column(key="f1_mean", **notebook),
            **_no_counts(images),
        ),
        rare_classes(),
        name=NAMES[key],
        protocol="five folds of the release",
        source="paper, Table 3; F1 from the authors' notebooks",
        counts=compatible_counts(images, **found),
        approximate=True,
        sd={**sd, "f1": published.column(key="f1_sd", **notebook)},
        published={
            f"macro_{figure}": published.average("table3", f"{key}_mean", figure=figure)
            for figure in found
        },
        notes=[
            "Means over five folds: macro precision, recall and F1 are exact; accuracy "
            "and weighted F1 assume folds of one size; counts are worked out from the "
            "means over the whole release and with them all intervals are approximate.",
            "The deviation of an average over the folds cannot be known: the paper "
            "prints the mean of the classes' deviations, which is another thing.",
        ],
    )


def _table4() -> dict[str, Any]:
    images = published.test_images()
    found = {}
    for key in ("swav", "supcon"):
        where = {"name": "notebook_table4", "system": key}
        correct = published.column(key="true_positives", **where).astype(int)
        precision = published.column(key="precision", **where)
        predicted = np.divide(correct, precision, out=np.zeros(21), where=precision > 0)
        counts = Counts(correct, images, np.round(predicted).astype(int))
        found[key] = system(
            published.NAMES,
            metrics_of_counts(*counts),
            rare_classes(),
            name=NAMES[key],
            protocol="one 80/20 split, 34,281 test images",
            source="authors' notebooks; the paper's Table 4 rounds them",
            counts=counts,
            published={
                f"macro_{figure}": published.average("table4", f"{key}_{figure}")
                for figure in METRICS
            },
            notes=[
                "Whether SwAV was pretrained on the test images too, without labels, "
                "the paper does not say."
            ]
            if key == "swav"
            else [],
        )
    return found


def _no_counts(images: np.ndarray) -> dict[str, np.ndarray | None]:
    """The counts of a system of which only rates are published."""
    return {"correct": None, "support": images, "predicted": None}


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)
