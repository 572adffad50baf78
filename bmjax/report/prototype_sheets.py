"""The prototypes of a run: what they stand for, with their nearest cells."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bmjax.report.pictures import Album
from bmjax.report.words import count, full_name, listing, score, shown_path

MOST_SHOWN = 24  # prototypes with their cells; ours: what a page shows legibly
PER_CLASS = 2  # of them with the same most common class, before others fill the rest
PROTOTYPE_SIDE = 80  # pixels of a picture, shown at two thirds of that


class NearestImage(NamedTuple):
    """A cell near a prototype; of its most common class or of another."""

    file: str
    name: str  # the end of `file`
    label: str
    cosine: str
    picture: str
    of_another_class: bool


class Prototype(NamedTuple):
    """One prototype: its most common class, how pure it is, and its nearest cells."""

    number: int
    label: str
    purity: str
    images: str
    cells: list[NearestImage]


class ClassShare(NamedTuple):
    """The prototypes whose most common class is this one."""

    label: str
    name: str
    prototypes: str
    images: str
    purity: str


class Atlas(NamedTuple):
    """All that a page shows of a run's prototypes."""

    tiles: list[tuple[str, str, str]]
    sentences: list[str]
    classes: list[ClassShare]
    prototypes: list[Prototype]
    pictures: bool
    whole: bool  # whether every prototype in use is among them


def describe_atlas(
    atlas: dict[str, Any], classes: Sequence[str], album: Album
) -> Atlas:
    """What a page shows of `evals.atlas.prototype_atlas`, checked by `files`."""
    entries = atlas["prototypes"]
    chosen = _chosen(entries, classes)
    shown = [_prototype(number, entries[number], album) for number in chosen]
    return Atlas(
        tiles=[
            ("Prototypes", count(len(entries)), ""),
            ("In use", count(len(entries) - len(atlas["dead"])), ""),
            ("Effective number", f"{atlas['effective']:,.1f}", "evenly used"),
            (
                "Purity",
                score(atlas["purity"]),
                f"{score(atlas['largest_class'])} with one",
            ),
            ("Mutual information", score(atlas["mutual_information"]), "0 to 1"),
        ],
        sentences=_sentences(atlas, classes),
        classes=[_class_share(label, entries) for label in classes],
        prototypes=shown,
        pictures=any(cell.picture for prototype in shown for cell in prototype.cells),
        whole=len(shown) == sum(1 for entry in entries if entry["images"]),
    )


def _chosen(entries: Sequence[dict[str, Any]], classes: Sequence[str]) -> list[int]:
    """Numbers of the prototypes to show, by class: those with most images first."""
    used = [number for number, entry in enumerate(entries) if entry["images"]]
    ranked = sorted(used, key=lambda number: (-entries[number]["images"], number))
    first: list[int] = []
    for label in classes:
        own = [number for number in ranked if entries[number]["class"] == label]
        first += own[:PER_CLASS]
    first.sort(key=ranked.index)
    rest = [number for number in ranked if number not in set(first)]
    chosen = [*first, *rest][:MOST_SHOWN]
    place = {label: position for position, label in enumerate(classes)}

    def by_class(number: int) -> tuple[int, int]:
        return place.get(entries[number]["class"], len(place)), ranked.index(number)

    return sorted(chosen, key=by_class)


def _prototype(number: int, entry: dict[str, Any], album: Album) -> Prototype:
    cells = [
        NearestImage(
            shown_path(near["path"]),
            near["path"].rsplit("/", 1)[-1],
            near["label"],
            score(near["cosine"]),
            album.picture(near["path"], PROTOTYPE_SIDE),
            near["label"] != entry["class"],
        )
        for near in entry["nearest"]
    ]
    return Prototype(
        number, entry["class"], f"{entry['purity']:.0%}", count(entry["images"]), cells
    )


def _class_share(label: str, entries: Sequence[dict[str, Any]]) -> ClassShare:
    own = [entry for entry in entries if entry["class"] == label]
    images = sum(entry["images"] for entry in own)
    of_class = sum(entry["images"] * entry["purity"] for entry in own)
    return ClassShare(
        label,
        full_name(label),
        count(len(own)),
        count(images),
        score(of_class / images if images else None),
    )


def _sentences(atlas: dict[str, Any], classes: Sequence[str]) -> list[str]:
    """What is wrong with the prototypes, where something is."""
    sentences = []
    if dead := len(atlas["dead"]):
        sentences.append(
            f"{dead:,} of {len(atlas['prototypes']):,} prototypes are no image"
            f"\N{RIGHT SINGLE QUOTATION MARK}s first choice."
        )
    if twins := atlas["duplicates"]:
        members = {number for pair in twins for number in pair}
        sentences.append(
            f"{len(members):,} prototypes have a twin (cosine above 0.99): several "
            "stand for the same."
        )
    common = {entry["class"] for entry in atlas["prototypes"]}
    if without := [label for label in classes if label not in common]:
        sentences.append(f"No prototype is mostly {listing(without)}.")
    return sentences
