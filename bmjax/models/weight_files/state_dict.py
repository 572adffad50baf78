"""Weights from and to other programs' files, complete or not at all."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from bmjax.errors import CheckpointError
from bmjax.files import write_whole
from bmjax.models.families import family_of, feature_dim
from bmjax.models.weight_files.entries import Entry, StateDicts, read_float32
from bmjax.models.weight_files.file_kind import file_kind, swapped_suffix
from bmjax.models.weight_files.match import (
    Wanted,
    choice_note,
    compare_entries,
    expected_entries,
    match_summary,
    misfit,
)
from bmjax.models.weight_files.match import (
    num_classes as classes_in,
)
from bmjax.models.weight_files.networks_in_file import find_network, split_address
from bmjax.models.weight_files.pth import open_pth
from bmjax.models.weight_files.safetensors_file import (
    open_safetensors,
    safetensors_metadata,
)
from bmjax.models.weight_files.torch_names import (
    MASK_TOKEN,
    from_torch,
    to_torch,
    torch_name,
)
from bmjax.types import Tree


def read_weights(
    path: Path,
    name: str,
    *,
    num_classes: int = 0,
    new_classifier: bool = False,
    pooling: str = "auto",
    mask_token: bool = False,
    say: Callable[[str], None] | None = None,
) -> tuple[Tree, Tree]:
    """Read a network's parameters and batch statistics from a file of weights.

    Files of torchvision, timm, SwAV (facebookresearch/swav) and SupCon
    (HobbitLong/SupContrast) are read, and those of `write_weights`: .safetensors, or
    torch's .pth, read without torch and without running its code. Prefixes such as
    `module.` and `encoder.` are found and taken off. One entry is read at a time, and
    none that is not wanted: a ResNet-50 takes less than twice its 94 MB of float32.

    Args:
        path: the file; or FILE::ENTRY, where the file holds several networks, with the
            address of one of them or its first keys, such as "last.pth::teacher".
        name: the network it is for, one of `NETWORKS`.
        num_classes: N that the classifier must have; 0 takes any.
        new_classifier: leave the file's classifier out.
        pooling: how the features were made that its heads stand on; see `spec_of`.
        mask_token: take the file's mask token too, where it has one.
        say: takes the summary of what matched, line by line; without it, networks that
            are passed over unasked are a warning.

    Returns:
        params and batch_stats, float32: "backbone", and "fc" (the classifier), "head"
        (the projection) and "prototypes" [D, K] where the file has them. A classifier
        whose weights are all zero has learned nothing, and is left out.

    Raises:
        ConfigError: for a name that does not exist.
        CheckpointError: the file is damaged or unsafe, is another network's, lacks or
            mis-shapes any entry, holds one in numbers that are no floats or not
            finite, or a kernel of zeros; or its classifier is of another size.
    """
    family = family_of(name)
    path, address = split_address(Path(path))
    with _open(path) as dicts:
        found = find_network(dicts, path, address, family)
        entries = found.entries
        expected = expected_entries(name, entries, pooling)
        if mask_token and MASK_TOKEN in entries:
            width = feature_dim(name)
            expected[MASK_TOKEN] = Wanted("params", (MASK_TOKEN,), (1, width))
        match = compare_entries(entries, expected)
        whole = match.whole(family)
        dropped = _dropped(path, entries, expected, new_classifier) if whole else {}
        if say is None and found.passed_over and not address:
            warnings.warn(choice_note(path, found), stacklevel=2)
        if say:
            if note := swapped_suffix(path, file_kind(path)):
                say(note)
            for line in match_summary(path, name, found, match, dropped):
                say(line)
        if not whole:
            raise CheckpointError(misfit(path, name, entries, match))
        classes = classes_in(entries, family)
        if num_classes and classes not in (0, num_classes) and not dropped:
            raise CheckpointError(
                f"{str(path)!r} has a classifier of {classes:,} classes, expected "
                f"{num_classes:,}; start a new one with "
                "--config.init_new_classifier=True"
            )
        trees: dict[str, dict] = {"params": {}, "batch_stats": {}}
        for entry, (tree, key, _) in expected.items():
            if entry not in dropped:
                values = from_torch(_read_checked(path, entries[entry], key))
                trees[tree][key] = jnp.asarray(values)
    return unflatten_dict(trees["params"]), unflatten_dict(trees["batch_stats"])


def _dropped(
    path: Path,
    entries: Mapping[str, Entry],
    expected: Mapping[str, Wanted],
    new_classifier: bool,
) -> dict[str, str]:
    """Entries of the classifier that are left out -> why."""
    classifier = [entry for entry, wanted in expected.items() if wanted.path[0] == "fc"]
    if new_classifier:
        return dict.fromkeys(classifier, "a new classifier is begun")
    for entry in classifier:
        kernel = expected[entry].path == ("fc", "kernel")
        if kernel and not read_float32(path, entries[entry]).any():
            return dict.fromkeys(classifier, "its weights are all zero")
    return {}


def _read_checked(path: Path, entry: Entry, key: tuple[str, ...]) -> np.ndarray:
    """Read an entry that a trained network can have.

    Biases may be zero altogether, and scales of a normalization: a residual block's
    last one often begins so (Goyal et al. 2017). A kernel may not: it begins with
    random numbers, and training does not take all of them to 0.
    """
    values = read_float32(path, entry)
    if key[-1] in ("kernel", "prototypes") and not values.any():
        raise CheckpointError(
            f"{str(path)!r} has nothing but zeros in {entry.name!r}, which no training "
            "leaves there; save the network's weights again, or take another file"
        )
    if key[-1] == "var" and (values < 0).any():
        raise CheckpointError(
            f"{str(path)!r} has variances below 0 in {entry.name!r}; copy it again, or "
            "take another file"
        )
    return values


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
    marks = {"bn1": "mlp_bn", "fc3": "mlp_gelu", "fc1": "mlp"}
    head = next((marks[layer] for layer in marks if layer in hidden), "linear")
    leaves = {**flatten_dict(params), **flatten_dict(batch_stats)}
    family = family_of(name)
    entries = {
        torch_name(key, family, head=head): to_torch(leaf)
        for key, leaf in leaves.items()
    }
    write_whole(path, save(entries, metadata=metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """Return what `write_weights` was given; {} for a file of any other kind.

    Args:
        path: the file, or FILE::ENTRY.

    Raises:
        CheckpointError: the file is no file of weights, or not whole.
    """
    path, _ = split_address(Path(path))
    return safetensors_metadata(path) if file_kind(path) == "safetensors" else {}


def _open(path: Path) -> contextlib.AbstractContextManager[StateDicts]:
    return (open_safetensors if file_kind(path) == "safetensors" else open_pth)(path)
