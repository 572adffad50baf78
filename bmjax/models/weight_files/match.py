"""How a file's entries compare with what a network wants, in numbers and in words."""

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from bmjax.models.families import (
    AUTO,
    NETWORKS,
    family_of,
    feature_dim,
    smallest_images,
)
from bmjax.models.family import Family
from bmjax.models.network import make_network
from bmjax.models.vision_transformer import VitSpec
from bmjax.models.weight_files.entries import Entry
from bmjax.models.weight_files.layouts import with_periods
from bmjax.models.weight_files.networks_in_file import Found
from bmjax.models.weight_files.torch_names import find_head, torch_name, torch_shape
from bmjax.models.weight_files.vit_sizes import (
    describe,
    differences,
    networks_of,
    read_sizes,
    sizes_of,
)

_PARTS = ("backbone", "classifier", "head", "prototypes", "other")
_SHOWN = 8  # names of each kind in the table
# Parts of DINOv2's and DINOv3's training.
_PRETRAINING = ("dino_head", "ibot_head", "mask_token", "local_cls_norm")
_OF_TRAINING = ", which is of pretraining alone"
_COUNTER = "num_batches_tracked"  # torch's batch normalization; used by no network here


class Wanted(NamedTuple):
    """An array that a file must hold."""

    tree: str  # "params" or "batch_stats"
    path: tuple[str, ...]  # in our tree
    shape: tuple[int, ...]  # in the file, as torch has it


class Match(NamedTuple):
    """How a file's entries compare with what a network wants; names are torch's."""

    matched: list[str]
    missing: list[str]
    misshaped: list[str]  # with both shapes
    unused: list[str]

    def whole(self, family: Family) -> bool:
        """Whether all is there, and nothing that belongs to a larger network."""
        # The first blocks of a ResNet-101 are a ResNet-50.
        strange = [e for e in self.unused if _part(e, family) == "backbone"]
        return not self.missing and not self.misshaped and not strange


def expected_entries(
    name: str, entries: Mapping[str, Entry], pooling: str = AUTO
) -> dict[str, Wanted]:
    """What a file with such heads must hold, by the entries' names.

    Every head that the file begins is expected whole.
    """
    family = family_of(name)
    head, last = find_head(entries)
    dim, hidden = entries[last].shape[:2] if last else (0, 0)
    network = make_network(
        name,
        num_classes=num_classes(entries, family),
        lineages=_lineages(entries, family),
        head=head,
        embedding_dim=dim,
        hidden_dim=hidden,
        pooling=pooling,
    )
    side = smallest_images(name)
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    params, batch_stats = jax.eval_shape(network.init, jax.random.key(0), images)
    if "prototypes.weight" in entries:
        count, width = entries["prototypes.weight"].shape[:2]
        shape = (dim or width, count)
        params = {**params, "prototypes": jax.ShapeDtypeStruct(shape, jnp.float32)}
    return {
        torch_name(key, family, head=head): Wanted(tree, key, torch_shape(leaf.shape))
        for tree, leaves in (("params", params), ("batch_stats", batch_stats))
        for key, leaf in flatten_dict(leaves).items()
    }


@functools.cache
def _backbone_entries(name: str) -> dict[str, Wanted]:
    return expected_entries(name, {})


def num_classes(entries: Mapping[str, Entry], family: Family) -> int:
    """How many classes the classifier in a file has; 0 where there is none."""
    weight = entries.get(f"{family.classifier}.weight")
    return weight.shape[0] if weight and weight.shape else 0


def _lineages(entries: Mapping[str, Entry], family: Family) -> tuple[int, ...]:
    """Some lineages of the classes, as many as the classifier in a file has; or ()."""
    lineage = entries.get(f"{family.classifier}.lineage.weight")
    if not lineage or not lineage.shape:
        return ()
    last = lineage.shape[0] - 1
    return tuple(min(n, last) for n in range(num_classes(entries, family)))


def compare_entries(
    entries: Mapping[str, Entry], expected: Mapping[str, Wanted]
) -> Match:
    """Hold a file's entries against what is expected, by name and shape."""
    match = Match([], [], [], [])
    for entry, wanted in expected.items():
        if entry not in entries:
            match.missing.append(entry)
        elif entries[entry].shape != wanted.shape:
            found = list(entries[entry].shape)
            match.misshaped.append(f"{entry} {found}, expected {list(wanted.shape)}")
        else:
            match.matched.append(entry)
    match.unused.extend(
        entry
        for entry in entries
        if entry not in expected and not entry.endswith(_COUNTER)
    )
    return match


def match_summary(
    path: Path, name: str, found: Found, match: Match, left_out: Mapping[str, str]
) -> Iterator[str]:
    """Lines to print: what was taken, what was not, and why.

    Args:
        path: of the file.
        name: of the network.
        found: what was read of the file.
        match: how it compares.
        left_out: entries that match and are dropped all the same -> why.
    """
    family = family_of(name)
    yield f"weights in {path} as {name}:"
    if found.passed_over:
        yield f"  {choice_note(path, found)}"
    elif found.address:
        yield f"  taken: {found.address}"
    if sizes := read_sizes(found.entries):
        yield f"  found: {describe(sizes)}"
    for note in found.notes:
        yield f"  {note}"
    yield f"  {'part':<12}{'matched':>8}{'missing':>8}{'mis-shaped':>11}{'unused':>8}"
    for part in _PARTS:
        counts = [sum(_part(e, family) == part for e in entries) for entries in match]
        if any(counts):
            yield "  {:<12}{:>8}{:>8}{:>11}{:>8}".format(part, *counts)
    for what, entries in (("missing", match.missing), ("mis-shaped", match.misshaped)):
        if entries:
            more = len(entries) - _SHOWN
            tail = f" and {more:,} more" if more > 0 else ""
            yield f"  {what}: {'; '.join(entries[:_SHOWN])}{tail}"
    none = f"{name} has no such part"
    dropped = [
        (entry, none + _OF_TRAINING * (entry.split(".")[0] in _PRETRAINING))
        for entry in match.unused
    ]
    dropped += left_out.items()
    counters = sum(entry.endswith(_COUNTER) for entry in found.entries)
    groups = Counter((_root(entry, family), why) for entry, why in dropped)
    for (prefix, why), count in groups.most_common(_SHOWN):
        yield f"  unused: {prefix} ({_entries(count)}): {why}"
    if more := sum(count for _, count in groups.most_common()[_SHOWN:]):
        yield f"  unused: {_entries(more)} more"
    if counters:
        why = "no layer here counts its batches"
        yield f"  unused: {_COUNTER} ({_entries(counters)}): {why}"


def choice_note(path: Path, found: Found) -> str:
    """One sentence on which of several networks was taken, and how to take another."""
    unnamed = "the one without a prefix"
    others = ", ".join(address or unnamed for address in found.passed_over)
    named = [address for address in found.passed_over if address]
    cure = f"; FILE::ENTRY takes another, such as {path}::{named[0]}" if named else ""
    return (
        f"{path.name} holds {len(found.passed_over) + 1} networks: taken "
        f"{found.address or unnamed}, passed over {others}{cure}"
    )


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _root(entry: str, family: Family) -> str:
    """What an entry is counted under: its first name, in a backbone its whole name."""
    return entry if _part(entry, family) == "backbone" else entry.split(".")[0]


def _part(entry: str, family: Family) -> str:
    """The row of the table that an entry counts in."""
    if re.match(r"[^.\d\s]*", entry)[0] in family.backbone_roots:
        return "backbone"
    own = (family.classifier, f"{family.classifier}.lineage")
    if entry.rpartition(".")[0] in own:
        return "classifier"
    names = {"projection_head": "head", "head": "head", "prototypes": "prototypes"}
    return names.get(entry.split(".")[0], "other")


def misfit(path: Path, name: str, found: Found, match: Match) -> str:
    """One sentence on a file that does not fit, with the network that it does fit."""
    family, entries = family_of(name), found.entries
    backbone = {e: a for e, a in entries.items() if _part(e, family) == "backbone"}
    sizes = read_sizes(backbone)
    if sizes:
        candidates = networks_of(sizes)
    else:  # the last layer's width says which may be
        lengths = {length for entry in backbone.values() for length in entry.shape}
        others = (name, *family.specs)
        candidates = [other for other in others if feature_dim(other) in lengths]
    right = next(
        (other for other in candidates if _fits(other, backbone, found.notes)), ""
    )
    strange = [entry for entry in match.unused if _part(entry, family) == "backbone"]
    first = (match.misshaped + match.missing + strange)[0]
    spec, unlike = NETWORKS[name], ""
    if sizes and isinstance(spec, VitSpec):
        unlike = differences(sizes, sizes_of(spec))
    if right and right != name:
        stem = _stem(entries, _backbone_entries(name))
        cure = f"it is a {right}{stem}; set --config.model.name={right}"
    elif right:
        cure = "its backbone fits, but a head is not whole; save it whole or without"
    elif name in candidates and sizes:
        cure = f"its sizes are those of {name}; save it whole, or copy it again"
    elif sizes:
        cure = f"it fits none of the networks here; give a file of {name}"
    else:
        cure = f"it fits none of {', '.join(family.specs)}; give a file of one of these"
    return (
        f"{str(path)!r} is no {name}: entries missing {len(match.missing):,}, "
        f"mis-shaped {len(match.misshaped):,}, too many in the backbone "
        f"{len(strange):,} (first {first}); {f'{unlike}; ' if unlike else ''}{cure}"
    )


def _fits(name: str, backbone: Mapping[str, Entry], notes: tuple[str, ...]) -> bool:
    """Whether a backbone is whole as that of a network; building it takes a second."""
    expected = _backbone_entries(name)
    entries, _ = with_periods(backbone, expected, notes)
    return compare_entries(entries, expected).whole(family_of(name))


def _stem(entries: Mapping[str, Entry], expected: Mapping[str, Wanted]) -> str:
    """A clause on a residual network's first kernel, where its size is another."""
    first = entries.get("conv1.weight")
    if first is None or "conv1.weight" not in expected or len(first.shape) != 4:
        return ""
    height, width = first.shape[2:]
    if (height, width) == expected["conv1.weight"].shape[2:]:
        return ""
    return f", whose stem is {height} x {width}"
