"""The systems of the paper's Tables 2, 3 and 4, from what is published of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bmjax.data.matek import RARE, class_name
from bmjax.evals.class_counts import (
    CLASS_METRICS,
    assess_counts,
    compatible_counts,
    decide_places,
)
from bmjax.evals.confusion import ClassMetrics, Counts, metrics_of_counts
from bmjax.report.system_tables import METRIC_TITLES
from bmjax.report.table_formats import Table
from experiments.tables import published

SYSTEM_NAMES = {
    "baseline": "Matek et al.",
    "resnext50": "ResNeXt-50",
    "resnext50_mixup": "ResNeXt-50 + mixup",
    "swav": "SwAV + linear",
    "supcon": "SupCon + linear",
}
TABLE_TITLES = {
    "table2": "Table 2: ResNeXt-50 trained with cross-entropy, 20 epochs",
    "table3": "Table 3: supervised training, 100 epochs, five folds",
    "table4": "Table 4: SwAV (no labels) and SupCon (labels), 200 epochs",
}
SMALLEST = "ABE"  # two test images decide the paper's ranking
PAPER_AVERAGES = (
    "macro_precision",
    "macro_recall",
    "macro_f1",
    f"macro_f1_without_{SMALLEST}",
    "macro_f1_without_rare",
    "weighted_f1",
    "accuracy",
)
INTERVALS = (
    "95 % intervals. Those of a class's metrics and of accuracy are exact "
    "(Clopper-Pearson); those of the other averages are of a parametric bootstrap from "
    "the counts (2,000 draws, seed 0). They speak of the test images alone, not of "
    "other training runs, and the bootstrap does not move a class of which all or none "
    "is correct: see its own interval."
)
_ONE_SPLIT = "one 80/20 split, 34,281 test images"
_HEADS = {  # as the paper heads its columns
    "baseline": "Baseline",
    "resnext50": "ResNeXt50",
    "resnext50_mixup": "ResNeXt50 + Mixup",
    "swav": "SwAV+Lin.",
    "supcon": "SupCon",
}


def published_table(name: str) -> dict[str, Any]:
    """The document of a published table: "systems" by key, "decided_by", "notes".

    Args:
        name: "table2", "table3" or "table4".
    """
    make = {"table2": _table2, "table3": _table3, "table4": _table4}[name]
    systems = {"baseline": _five_folds("baseline"), **make()}
    return {
        "table": name,
        "title": TABLE_TITLES[name],
        "kind": "published",
        "systems": systems,
        "decided_by": decide_places(systems),
        "notes": [INTERVALS],
    }


def rare_classes() -> tuple[str, ...]:
    """Classes with fewer than 20 images in the authors' single test part."""
    images = zip(published.CLASS_NAMES, published.test_images(), strict=True)
    return tuple(name for name, number in images if number < RARE)


def as_printed(name: str) -> list[Table]:
    """The published table: Table 3 is two, precision above recall, as in the paper."""
    heads = [_HEADS[key] for key in published_systems(name)]
    if name == "table3":
        keys = [
            f"{key}_{of}" for key in published_systems(name) for of in ("mean", "sd")
        ]
        columns = ("avg", "std") * len(heads)
        groups = tuple((head, 2) for head in heads)
        return [
            _printed(name, METRIC_TITLES[metric], groups, columns, keys, metric=metric)
            for metric in ("precision", "recall")
        ]
    metrics = ("f1",) if name == "table2" else CLASS_METRICS
    keys = [f"{key}_{metric}" for metric in metrics for key in published_systems(name)]
    groups = tuple((METRIC_TITLES[metric], len(heads)) for metric in metrics)
    return [_printed(name, "", groups, tuple(heads) * len(metrics), keys)]


def published_systems(name: str) -> tuple[str, ...]:
    """The keys of a table's systems, the baseline first."""
    return {
        "table2": ("baseline", "resnext50"),
        "table3": ("baseline", "resnext50", "resnext50_mixup"),
        "table4": ("baseline", "swav", "supcon"),
    }[name]


def _printed(
    name: str,
    part: str,
    groups: tuple[tuple[str, int], ...],
    columns: Sequence[str],
    keys: Sequence[str],
    **where: str,
) -> Table:
    printed = {row["class"]: row for row in published.matching(name, where)}
    names = (*published.CLASS_NAMES, published.AVERAGE)
    rows = tuple(
        (class_name(cell), *(printed[cell][key] for key in keys)) for cell in names
    )
    caption = f"Table {name[-1]}, as published" + (f": {part}" if part else "")
    return Table(caption, groups, ("Class", *columns), rows, frozenset([len(rows) - 1]))


def system_of(
    key: str,
    metrics: ClassMetrics,
    counts: Counts | None,
    *,
    classes: Sequence[str] = published.CLASS_NAMES,
    rare: Sequence[str] | None = None,
    sd: dict[str, np.ndarray] | None = None,
    **said: Any,
) -> dict[str, Any]:
    """One system: `assess_counts` with its name, its deviations and what is said of it.

    Args:
        key: of SYSTEM_NAMES.
        metrics: float [N].
        counts: int [N] each; None: there are none.
        classes: N names.
        rare: classes with too few test images; None: the paper's.
        sd: sample deviations over folds or seeds, by metric, float [N].
        said: further keys.
    """
    rare = rare_classes() if rare is None else rare
    without = {SMALLEST: [SMALLEST], "rare": rare}
    assessed = assess_counts(metrics, classes, counts=counts, without=without)
    for row, entry in enumerate(assessed["per_class"]):
        for name, values in (sd or {}).items():
            known = not np.isnan(values[row])
            entry[f"{name}_sd"] = float(values[row]) if known else None
    return {
        "name": SYSTEM_NAMES[key],
        **assessed,
        "sd": {},
        "approximate": False,
        "published": {},
        "notes": [],
        **said,
    }


def _table2() -> dict[str, Any]:
    f1 = published.column("table2", "resnext50_f1")
    metrics = ClassMetrics(None, None, f1, None, published.test_images(), None)
    return {
        "resnext50": system_of(
            "resnext50",
            metrics,
            None,
            protocol=_ONE_SPLIT,
            source="paper, Table 2",
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
    """A system of which Table 3 has mean precision and recall over five folds."""
    images = published.images()
    rates, sd, averages = {}, {}, {}
    for name in ("precision", "recall"):
        rates[name] = published.column("table3", f"{key}_mean", metric=name)
        sd[name] = published.column("table3", f"{key}_sd", metric=name)
        averages[f"macro_{name}"] = published.average(
            "table3", f"{key}_mean", metric=name
        )
    if key == "baseline":
        total = np.maximum(rates["precision"] + rates["recall"], 1e-12)
        f1 = 2 * rates["precision"] * rates["recall"] / total
        averages["macro_f1"] = published.average("table2", "baseline_f1")
        said = {
            "protocol": "five folds of the release, strict matching",
            "source": "Matek et al. 2021, quoted in the paper's Tables 2 to 4",
            "notes": [
                "F1 of a class is worked out from mean precision and mean recall, as "
                "the paper did; the mean of the folds' F1 can be another.",
                "Its precision and recall are published to two decimals, as means of "
                "five folds: counts over the whole release, and all that rests on "
                "them, are approximate.",
            ],
        }
    else:
        notebook = {"name": "notebook_table3_f1", "system": key}
        f1 = published.column(key="f1_mean", **notebook)
        sd["f1"] = published.column(key="f1_sd", **notebook)
        said = {
            "protocol": "five folds of the release",
            "source": "paper, Table 3; F1 from the authors' notebooks",
            "notes": [
                "Means over five folds: macro precision, recall and F1 are exact; "
                "accuracy and weighted F1 assume folds of one size; counts are worked "
                "out from the means over the whole release and with them all "
                "intervals are approximate.",
                "The deviation of an average over the folds cannot be known: the paper "
                "prints the mean of the classes' deviations, which is another thing.",
            ],
        }
    return system_of(
        key,
        ClassMetrics(**rates, f1=f1, correct=None, support=images, predicted=None),
        compatible_counts(images, **rates),
        sd=sd,
        approximate=True,
        published=averages,
        **said,
    )


def _table4() -> dict[str, Any]:
    images = published.test_images()
    systems = {}
    for key in ("swav", "supcon"):
        where = {"name": "notebook_table4", "system": key}
        correct = published.column(key="true_positives", **where).astype(int)
        precision = published.column(key="precision", **where)
        predicted = np.divide(correct, precision, out=np.zeros(21), where=precision > 0)
        counts = Counts(correct, images, np.round(predicted).astype(int))
        unsaid = (
            "Whether SwAV was pretrained on the test images too, without labels, the "
            "paper does not say."
        )
        systems[key] = system_of(
            key,
            metrics_of_counts(*counts),
            counts,
            protocol=_ONE_SPLIT,
            source="authors' notebooks; the paper's Table 4 rounds them",
            published={
                f"macro_{metric}": published.average("table4", f"{key}_{metric}")
                for metric in CLASS_METRICS
            },
            notes=[unsaid] if key == "swav" else [],
        )
    return systems
