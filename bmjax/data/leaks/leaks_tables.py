"""What the audit of copies says: a summary to read, tables and groups to keep."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bmjax.console.escape import escaped
from bmjax.console.text_table import aligned
from bmjax.data.images.catalog import Catalog
from bmjax.data.leaks.audit import BYTES, NEAR, PARTS, PIXELS, Audit, Copy, straddles
from bmjax.files import plain_cell

HEADER = (
    "first", "second", "kind", "similarity", "cosine",
    "first_part", "second_part", "first_label", "second_label",
)  # fmt: skip
_PLACES = ("train and test", "within train", "within test", "other")


class Suspect(NamedTuple):
    """A training and a test image whose features are alike, and pixels are not."""

    train: int
    test: int
    cosine: float


def figures(
    catalog: Catalog, audit: Audit, suspects: Sequence[Suspect]
) -> dict[str, Any]:
    """Counts: leaking test images, in all and by class; pairs by kind and place."""
    testing = audit.parts == PARTS.index("test")
    by_class = {}
    for label, name in enumerate(catalog.classes):
        members = testing & (catalog.labels == label)
        by_class[name] = _leaking(audit, members)
    pairs = {
        place: {"bytes": 0, "pixels": 0, "near": 0, "other_label": 0}
        for place in _PLACES
    }
    for copy in audit.copies:
        counted = pairs[_place(audit, copy)]
        counted[copy.kind] += 1
        counted["other_label"] += bool(
            catalog.labels[copy.first] != catalog.labels[copy.second]
        )
    return {
        "images": len(catalog),
        "train": int(np.sum(audit.parts == 0)),
        "unreadable": [catalog.paths[image] for image in audit.unreadable],
        **_leaking(audit, testing),
        "pairs": pairs,
        "alike_by_features_alone": len(suspects),
        "per_class": by_class,
    }


def _leaking(audit: Audit, members: np.ndarray) -> dict[str, int]:
    kinds = audit.leaking[members]
    return {
        "test": int(members.sum()),
        "exact": int(np.sum(kinds == "exact")),
        "near": int(np.sum(kinds == "near")),
    }


def _place(audit: Audit, copy: Copy) -> str:
    if straddles(audit, copy):
        return "train and test"
    parts = {PARTS[audit.parts[image]] for image in (copy.first, copy.second)}
    return f"within {parts.pop()}" if parts in ({"train"}, {"test"}) else "other"


def summary(
    catalog: Catalog,
    audit: Audit,
    found: dict[str, Any],
    suspects: Sequence[Suspect],
    *,
    examples: int,
) -> str:
    """The audit in some lines, to read."""
    leaking = found["exact"] + found["near"]
    lines = [
        f"{found['images']:,} images of {len(catalog.classes)} classes: "
        f"{found['train']:,} train, {found['test']:,} test",
        f"{leaking:,} test image(s) have a copy in the training part "
        f"({_share(leaking, found['test'])}): {found['exact']:,} exact, "
        f"{found['near']:,} near",
    ]
    if found["unreadable"]:
        count = len(found["unreadable"])
        lines.append(f"{count:,} image(s) could not be read and were left out:")
        lines += [f"  {escaped(path)}" for path in found["unreadable"][:examples]]
        lines += [f"  and {count - examples:,} more"] if count > examples else []
    if leaking:
        rows = [("class", "test", "exact", "near", "share")]
        for name, counts in found["per_class"].items():
            bad = counts["exact"] + counts["near"]
            cells = (counts[key] for key in ("test", "exact", "near"))
            if bad:
                row = (escaped(name), *map("{:,}".format, cells))
                rows.append((*row, _share(bad, counts["test"])))
        lines += ["", *aligned(rows)]
    rows = [("pairs of copies", *_KINDS.values())]
    for place, counts in found["pairs"].items():
        if place != "other" or sum(counts.values()):
            rows.append((place, *(f"{counts[kind]:,}" for kind in _KINDS)))
    lines += ["", *aligned(rows)]
    copies = _in_order(catalog, audit)[:examples]
    if copies:
        lines += ["", "the first of them (similarity, kind, images)"]
    for copy in copies:
        pair = (copy.first, copy.second)
        names = "  ".join(_named(catalog, audit, image) for image in pair)
        lines.append(f"  {copy.similarity:.4f}  {copy.kind:6s}  {names}")
    if suspects:
        lines += [
            "",
            f"{len(suspects):,} test image(s) have features like a training image's "
            "whose pixels do not agree; look at them (cosine, images)",
        ]
    for suspect in suspects[:examples]:
        pair = (suspect.train, suspect.test)
        names = "  ".join(_named(catalog, audit, image) for image in pair)
        lines.append(f"  {suspect.cosine:.4f}  {names}")
    return "\n".join(lines)


_KINDS = {
    BYTES: "same file",
    PIXELS: "same pixels",
    NEAR: "near",
    "other_label": "other label",
}


def pair_rows(
    catalog: Catalog, audit: Audit, suspects: Sequence[Suspect]
) -> Iterator[tuple[str, ...]]:
    """Rows under `HEADER`: every pair of copies, those that straddle first."""

    def row(pair: tuple[int, int], kind: str, similarity: str, cosine: str):
        return (
            *(plain_cell(catalog.paths[image]) for image in pair),
            *(kind, similarity, cosine),
            *(PARTS[audit.parts[image]] for image in pair),
            *(plain_cell(catalog.classes[catalog.labels[image]]) for image in pair),
        )

    for copy in _in_order(catalog, audit):
        pair = (copy.first, copy.second)
        yield row(pair, copy.kind, f"{copy.similarity:.4f}", "")
    for suspect in suspects:
        pair = (suspect.train, suspect.test)
        yield row(pair, "features", "", f"{suspect.cosine:.4f}")


def group_rows(catalog: Catalog, audit: Audit) -> Iterator[tuple[str, str]]:
    """`path,group` of every image, as `data.split` takes it: copies share a group."""
    for path, group in zip(catalog.paths, audit.groups, strict=True):
        yield plain_cell(path), f"copies-{group}"


def _in_order(catalog: Catalog, audit: Audit) -> list[Copy]:
    """Straddling pairs first, among them those of different labels, the most alike."""

    def weight(copy: Copy):
        same = catalog.labels[copy.first] == catalog.labels[copy.second]
        return not straddles(audit, copy), bool(same), -copy.similarity, copy

    return sorted(audit.copies, key=weight)


def _named(catalog: Catalog, audit: Audit, image: int) -> str:
    return f"{PARTS[audit.parts[image]]} {escaped(catalog.paths[image])}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.2f} %"
