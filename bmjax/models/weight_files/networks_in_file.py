"""Which of the networks in a file is read, and its entries without their prefixes.

A file may hold a network several times: raw and averaged over training (EMA), or as
DINO's student and teacher. `FILE::ENTRY` in place of FILE says which.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bmjax.errors import CheckpointError
from bmjax.models.families import FAMILIES, family_of
from bmjax.models.family import Family
from bmjax.models.weight_files.entries import Entry, StateDicts
from bmjax.models.weight_files.layouts import Translated, chunks_of, translate
from bmjax.models.weight_files.torch_names import usual_name
from bmjax.models.weight_files.vit_sizes import describe, networks_of, read_sizes

_WRAPPED = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")  # by torch's wrappers
# Passed over where there is another: averages, and the student, of which DINO's teacher
# is the average that its authors evaluate (facebookresearch/dino, eval_linear.py).
_SECOND = re.compile(r"(?:^|[._])(?:ema|swa|averaged?|momentum|student)(?:[._]|$)")


class Found(NamedTuple):
    """One network of a file."""

    address: str  # what stands before its entries, joined by dots; "" for nothing
    entries: dict[str, Entry]  # by the family's names, and by their own for others
    passed_over: tuple[str, ...]  # addresses of the other networks
    notes: tuple[str, ...]  # on names and numbers that are not as in the file


class _Place(NamedTuple):
    """Where a backbone stands in a file."""

    keys: str  # of the dict of tensors
    prefix: str  # of the backbone's entries in it, with a dot at its end

    @property
    def address(self) -> str:
        return ".".join(part for part in (self.keys, self.prefix[:-1]) if part)


def split_address(path: Path) -> tuple[Path, str]:
    """Split FILE::ENTRY into the file and the entry; "" where none is given."""
    if path.exists() or "::" not in path.name:
        return path, ""
    file, _, entry = path.name.partition("::")
    return path.with_name(file) if file else path, entry


def find_network(dicts: StateDicts, path: Path, wanted: str, family: Family) -> Found:
    """Find the one network of a family that is to be read.

    Args:
        dicts: what the file holds.
        path: of the file, for the errors.
        wanted: address of the network, or its first keys; "" takes the only one or,
            where all others are averages or students, the one that is not.
        family: of the network.

    Raises:
        CheckpointError: there is none, or several that the rule does not tell apart.
    """
    translated = _translated(dicts)
    bare = {keys: dict_.entries for keys, dict_ in translated.items()}
    places = [
        _Place(keys, prefix)
        for keys, entries in bare.items()
        for prefix in _prefixes(entries, family)
    ]
    if not places:
        chunked = (chunks for names in bare.values() if (chunks := chunks_of(names)))
        what = next(chunked, "")
        raise CheckpointError(
            f"{str(path)!r} {what}" if what else _no_network(bare, path, family)
        )
    place = _choose(places, path, wanted)
    others = [other for other in places if other != place]
    entries = _strip(
        bare[place.keys],
        place.prefix,
        [other.prefix for other in others if other.keys == place.keys],
    )
    if chunks := chunks_of(entries):
        raise CheckpointError(f"{str(path)!r} {chunks}")
    return Found(
        place.address,
        entries,
        tuple(other.address for other in others),
        translated[place.keys].notes,
    )


def named_by_shapes(dicts: StateDicts) -> tuple[str, ...]:
    """The names of the vision transformers that a file may hold, by their shapes."""
    return tuple(
        dict.fromkeys(
            name
            for entries, prefix in _vision_transformers(
                {keys: found.entries for keys, found in _translated(dicts).items()}
            )
            for name in _networks_below(entries, prefix)
        )
    )


def _translated(dicts: StateDicts) -> dict[str, Translated]:
    return {
        keys: translate({_WRAPPED.sub("", name): e for name, e in entries.items()})
        for keys, entries in dicts.items()
    }


def _vision_transformers(
    bare: dict[str, dict[str, Entry]],
) -> list[tuple[dict[str, Entry], str]]:
    """Where they stand: a dict of tensors, and what is before their names."""
    first = "patch_embed.proj.weight"
    return [
        (entries, name.removesuffix(first))
        for entries in bare.values()
        for name in entries
        if name == first or name.endswith(f".{first}")
    ]


def _networks_below(entries: dict[str, Entry], prefix: str) -> list[str]:
    sizes = read_sizes(_below(entries, prefix))
    return networks_of(sizes) if sizes else []


def _below(entries: dict[str, Entry], prefix: str) -> dict[str, Entry]:
    return {
        name.removeprefix(prefix): entry
        for name, entry in entries.items()
        if name.startswith(prefix)
    }


def _choose(places: list[_Place], path: Path, wanted: str) -> _Place:
    fitting = [
        place
        for place in places
        if place.address == wanted or f"{place.address}.".startswith(f"{wanted}.")
    ]
    if not wanted:
        fitting = places
    first = [place for place in fitting if not _SECOND.search(place.address)]
    for choice in (fitting, first, [p for p in fitting if p.address == wanted]):
        if len(choice) == 1:
            return choice[0]
    named = ", ".join(place.address or "one without a prefix" for place in places)
    example = next(place.address for place in reversed(places) if place.address)
    what = f"an entry {wanted!r} with one network" if wanted else "one network"
    raise CheckpointError(
        f"{str(path)!r} should hold {what}; found {named[:300]}; say which by "
        f"FILE::ENTRY, such as {f'{path.name}::{example}'!r}"
    )


def _strip(bare: dict[str, Entry], prefix: str, others: list[str]) -> dict[str, Entry]:
    """Take the prefix off, so that the backbone's names are the family's."""
    left = {
        name: entry
        for name, entry in bare.items()
        if not any(o and o not in prefix and name.startswith(o) for o in others)
    }
    # Heads stand beside the backbone's entries or, as in SupContrast, one level up.
    above = re.sub(r"[^.]+\.$", "", prefix)
    stripped: dict[str, Entry] = {}
    for start in (prefix, above):
        for name in [name for name in left if name.startswith(start)]:
            if (short := usual_name(name.removeprefix(start))) not in stripped:
                stripped[short] = left.pop(name)
    return left | stripped


def _prefixes(bare: Iterable[str], family: Family) -> list[str]:
    """The prefixes under which a family's backbones stand."""
    first = family.first_entry
    starts = {name.removesuffix(first) for name in bare if name.endswith(first)}
    return sorted(start for start in starts if not start or start.endswith("."))


def _no_network(bare: dict[str, dict[str, Entry]], path: Path, family: Family) -> str:
    names = list(max(bare.values(), key=len))
    others = [
        other
        for other in FAMILIES
        if any(_prefixes(entries, other) for entries in bare.values())
    ]
    cure = "give a file of such a network"
    transformers = _vision_transformers(bare)
    named = [name for found in transformers for name in _networks_below(*found)]
    candidates = (read_sizes(_below(*found)) for found in transformers)
    if named:
        title = family_of(named[0]).title
        cure = f"it holds a {title}, {named[0]}; set --config.model.name={named[0]}"
    elif sizes := next((a for a in candidates if a), None):
        cure = (
            f"it holds a vision transformer of {describe(sizes)}, which none of the "
            "networks here is"
        )
    elif others:
        cure = (
            f"it holds a {others[0].title}; set --config.model.name to one of "
            f"{', '.join(others[0].specs)}"
        )
    found = f"none, but {', '.join(names)}"
    return (
        f"{str(path)!r} should hold one {family.title}, with an entry "
        f"{family.first_entry!r} under some prefix; found {found[:200]}; {cure}"
    )
