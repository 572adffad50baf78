"""Weights from and to other programs' files, complete or not at all."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from bmjax.errors import CheckpointError
from bmjax.files import write_whole
from bmjax.models.families import FAMILIES, family_of, smallest_images
from bmjax.models.family import Family
from bmjax.models.network import make_network
from bmjax.models.weight_files.torch_names import (
    find_head,
    from_torch,
    to_torch,
    torch_name,
    torch_shape,
)
from bmjax.models.weight_files.unpickle import read_pth
from bmjax.types import Tree

_WRAPPED = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")  # by torch's wrappers
_PARTS = ("backbone", "classifier", "head", "prototypes", "other")
_SHOWN = 8  # names of each kind in the table


class _Match(NamedTuple):
    """How a file's entries compare with what a network wants; names are torch's."""

    matched: list[str]
    missing: list[str]
    misshaped: list[str]  # with both shapes
    unused: list[str]

    def whole(self, family: Family) -> bool:
        # A backbone's entry that is not used is another network's: the first blocks of
        # a ResNet-101 are a ResNet-50.
        strange = [e for e in self.unused if _part(e, family) == "backbone"]
        return not self.missing and not self.misshaped and not strange


def read_weights(
    path: Path,
    name: str,
    *,
    num_classes: int = 0,
    new_classifier: bool = False,
    pooling: str = "auto",
    say: Callable[[str], None] | None = None,
) -> tuple[Tree, Tree]:
    """Read a network's parameters and batch statistics from a file of weights.

    Files of torchvision, timm, SwAV (facebookresearch/swav) and SupCon
    (HobbitLong/SupContrast) are read, and those of `write_weights`: .safetensors, or
    torch's .pth, read without torch and without running its code. Prefixes such as
    `module.` and `encoder.` are found and taken off.

    Args:
        path: the file.
        name: the network it is for, one of `NETWORKS`.
        num_classes: N that the classifier must have; 0 takes any.
        new_classifier: leave the file's classifier out.
        pooling: how the features were made that its heads stand on; see `spec_of`.
        say: takes the table of what matched, line by line.

    Returns:
        params and batch_stats, float32: "backbone", and "fc" (the classifier), "head"
        (the projection) and "prototypes" [D, K] where the file has them.

    Raises:
        ConfigError: for a name that does not exist.
        CheckpointError: the file is damaged or unsafe, is another network's, lacks or
            mis-shapes any entry, or its classifier is of another size.
    """
    family = family_of(name)
    path = Path(path)
    entries = _strip(_read_entries(path), path, family)
    expected = _expected(name, entries, pooling)
    match = _compare(entries, expected)
    if say:
        for line in _table(path, name, match):
            say(line)
    if not match.whole(family):
        raise CheckpointError(_misfit(path, name, entries, match))
    classes = len(entries.get(f"{family.classifier}.weight", ()))
    if num_classes and classes not in (0, num_classes) and not new_classifier:
        raise CheckpointError(
            f"{str(path)!r} has a classifier of {classes:,} classes, expected "
            f"{num_classes:,}; start a new one with --config.init_new_classifier=True"
        )
    trees: dict[str, dict] = {"params": {}, "batch_stats": {}}
    for entry, (tree, key, _) in expected.items():
        if new_classifier and key[0] == "fc":
            continue
        values = from_torch(entries[entry].astype(np.float32))
        if not np.isfinite(values).all():
            raise CheckpointError(
                f"{str(path)!r} has values in {entry!r} that are no finite float32 "
                "numbers; take an earlier file of that training"
            )
        trees[tree][key] = jnp.asarray(values)
    return unflatten_dict(trees["params"]), unflatten_dict(trees["batch_stats"])


def write_weights(
    path: Path, name: str, params: Tree, batch_stats: Tree, *, metadata: dict[str, str]
) -> None:
    """Write a .safetensors file under timm's names, whole or not at all.

    torch reads it with `safetensors.torch.load_file` and the strict
    `load_state_dict` of timm's network of the same name (where no projection head or
    prototypes are in it); a residual network's names are torchvision's too.

    Args:
        path: the file.
        name: the network, one of `NETWORKS`.
        params: as `read_weights` returns them.
        batch_stats: likewise.
        metadata: what `read_metadata` gives back.
    """
    from safetensors.numpy import save

    hidden = params.get("head", {})
    head = "mlp_bn" if "bn1" in hidden else "mlp" if "fc1" in hidden else "linear"
    leaves = {**flatten_dict(params), **flatten_dict(batch_stats)}
    family = family_of(name)
    entries = {
        torch_name(key, family, head=head): to_torch(leaf)
        for key, leaf in leaves.items()
    }
    write_whole(path, save(entries, metadata=metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """Return what `write_weights` was given; {} for a file of any other kind."""
    if path.suffix != ".safetensors":
        return {}
    with _open_safetensors(path) as file:
        return file.metadata() or {}


def _open_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{str(path)!r} is no whole .safetensors file ({error}); copy it again"
        ) from None


def _read_entries(path: Path) -> dict[str, np.ndarray]:
    if path.suffix != ".safetensors":
        return read_pth(path)
    with _open_safetensors(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _strip(
    entries: dict[str, np.ndarray], path: Path, family: Family
) -> dict[str, np.ndarray]:
    """Take the prefixes off, so that the backbone's names are the family's."""
    bare = {_WRAPPED.sub("", name): array for name, array in entries.items()}
    prefixes = _prefixes(bare, family)
    if len(prefixes) != 1:
        found = ", ".join(prefixes) if prefixes else f"none, but {', '.join(bare)}"
        others = [other for other in FAMILIES if _prefixes(bare, other)]
        cure = "save the one to be used alone"
        if not prefixes and others:
            cure = (
                f"it holds a {others[0].title}; set --config.model.name to one of "
                f"{', '.join(others[0].specs)}"
            )
        raise CheckpointError(
            f"{str(path)!r} should hold one {family.title}, with an entry "
            f"{family.first_entry!r} under one prefix; found {found[:200]}; {cure}"
        )
    (prefix,) = prefixes
    # Heads stand beside the backbone's entries or, as in SupContrast, one level up.
    above = re.sub(r"[^.]+\.$", "", prefix)
    stripped = {}
    for start in (prefix, above):
        for name in [n for n in bare if n.startswith(start)]:
            if name.removeprefix(start) not in stripped:
                stripped[name.removeprefix(start)] = bare.pop(name)
    return stripped | bare


def _prefixes(bare: Iterable[str], family: Family) -> list[str]:
    """The prefixes under which a family's backbones stand."""
    first = family.first_entry
    starts = {name.removesuffix(first) for name in bare if name.endswith(first)}
    return sorted(start for start in starts if not start or start.endswith("."))


def _expected(
    name: str, entries: dict[str, np.ndarray], pooling: str = "auto"
) -> dict[str, tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """What a file with such heads must hold: entry -> (tree, our path, torch's shape).

    Every head that the file begins is expected whole.
    """
    family = family_of(name)
    head, last = find_head(entries)
    dim, hidden = entries[last].shape[:2] if last else (0, 0)
    network = make_network(
        name,
        num_classes=len(entries.get(f"{family.classifier}.weight", ())),
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
        torch_name(key, family, head=head): (tree, key, torch_shape(leaf.shape))
        for tree, leaves in (("params", params), ("batch_stats", batch_stats))
        for key, leaf in flatten_dict(leaves).items()
    }


def _compare(entries: dict[str, np.ndarray], expected: dict[str, tuple]) -> _Match:
    match = _Match([], [], [], [])
    for entry, (_, _, shape) in expected.items():
        if entry not in entries:
            match.missing.append(entry)
        elif entries[entry].shape != shape:
            found = list(entries[entry].shape)
            match.misshaped.append(f"{entry} {found}, expected {list(shape)}")
        else:
            match.matched.append(entry)
    # How many batches torch has seen: it uses the number in no network of these.
    match.unused.extend(
        entry
        for entry in entries
        if entry not in expected and not entry.endswith("num_batches_tracked")
    )
    return match


def _table(path: Path, name: str, match: _Match) -> Iterator[str]:
    """Lines to print: how much of each part matches, and what does not by name."""
    family = family_of(name)
    yield f"weights in {path} as {name}:"
    yield f"  {'part':<12}{'matched':>8}{'missing':>8}{'mis-shaped':>11}{'unused':>8}"
    for part in _PARTS:
        counts = [sum(_part(e, family) == part for e in entries) for entries in match]
        if any(counts):
            yield "  {:<12}{:>8}{:>8}{:>11}{:>8}".format(part, *counts)
    for what, entries in zip(match._fields[1:], match[1:], strict=True):
        if entries:
            more = len(entries) - _SHOWN
            tail = f" and {more:,} more" if more > 0 else ""
            shown = "mis-shaped" if what == "misshaped" else what
            yield f"  {shown}: {'; '.join(entries[:_SHOWN])}{tail}"


def _part(entry: str, family: Family) -> str:
    """The row of the table that an entry counts in."""
    if re.match(r"[^.\d]*", entry)[0] in family.backbone_roots:
        return "backbone"
    if entry.rpartition(".")[0] == family.classifier:
        return "classifier"
    names = {"projection_head": "head", "head": "head", "prototypes": "prototypes"}
    return names.get(entry.split(".")[0], "other")


def _misfit(
    path: Path, name: str, entries: dict[str, np.ndarray], match: _Match
) -> str:
    """One sentence on a file that does not fit, with the network that it does fit."""
    family = family_of(name)
    backbone = {e: a for e, a in entries.items() if _part(e, family) == "backbone"}
    right = [
        other
        for other in family.specs
        if _compare(backbone, _expected(other, backbone)).whole(family)
    ]
    first = (match.misshaped + match.missing + match.unused)[0]
    strange = sum(_part(entry, family) == "backbone" for entry in match.unused)
    if right and right != [name]:
        cure = f"it is a {right[0]}; set --config.model.name={right[0]}"
    elif right:
        cure = "its backbone fits, but a head is not whole; save it whole or without"
    else:
        cure = f"it fits none of {', '.join(family.specs)}; give a file of one of these"
    return (
        f"{str(path)!r} is no {name}: entries missing {len(match.missing):,}, "
        f"mis-shaped {len(match.misshaped):,}, too many in the backbone {strange:,} "
        f"(first {first}); {cure}"
    )
