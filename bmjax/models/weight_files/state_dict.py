"""Weights from and to other programs' files, complete or not at all."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from bmjax.errors import CheckpointError, check_known
from bmjax.files import write_whole
from bmjax.models.families import family_of, feature_dim
from bmjax.models.weight_files.entries import Entry, StateDicts, read_floats
from bmjax.models.weight_files.file_kind import file_kind, swapped_suffix
from bmjax.models.weight_files.layouts import with_periods
from bmjax.models.weight_files.match import (
    Match,
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
from bmjax.models.weight_files.networks_in_file import (
    Found,
    find_network,
    named_by_shapes,
    split_address,
)
from bmjax.models.weight_files.pth import open_pth
from bmjax.models.weight_files.safetensors_file import (
    open_safetensors,
    safetensors_metadata,
)
from bmjax.models.weight_files.timm_layout import timm_entries
from bmjax.models.weight_files.torch_names import (
    MASK_TOKEN,
    from_torch,
    to_torch,
    torch_name,
)
from bmjax.types import Tree

LAYOUTS = ("own", "timm")


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

    Files of torchvision, timm, SwAV (facebookresearch/swav), SupCon
    (HobbitLong/SupContrast), DINOv2, DINOv3, DinoBloom and Hugging Face's transformers
    are read (`layouts.py`), and those of `write_weights`: .safetensors, or
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
        found, expected, match = _compare(
            dicts, path, address, name, pooling, mask_token
        )
        entries = found.entries
        whole = match.whole(family)
        dropped = _dropped(path, entries, expected, new_classifier) if whole else {}
        if say is None and found.passed_over and not address:
            warnings.warn(choice_note(path, found), stacklevel=2)
        if say:
            _say_match(path, name, found, match, dropped, say)
        if not whole:
            raise CheckpointError(misfit(path, name, found, match))
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


def check_weights(
    path: Path, name: str, *, pooling: str = "auto", say: Callable[[str], None]
) -> None:
    """Refuse a file that `read_weights` would refuse for its entries' names and shapes.

    No numbers are read, so that this costs about a second whatever the file's size.

    Args:
        path: as for `read_weights`.
        name: likewise.
        pooling: likewise.
        say: takes the summary of what matched, where the file is refused.

    Raises:
        ConfigError: for a name that does not exist.
        CheckpointError: the file is damaged, is another network's, or lacks or
            mis-shapes any entry.
    """
    family = family_of(name)
    path, address = split_address(Path(path))
    with _open(path) as dicts:
        found, _, match = _compare(dicts, path, address, name, pooling)
        if not match.whole(family):
            _say_match(path, name, found, match, {}, say)
            raise CheckpointError(misfit(path, name, found, match))


def _compare(
    dicts: StateDicts,
    path: Path,
    address: str,
    name: str,
    pooling: str,
    mask_token: bool = False,
) -> tuple[Found, dict[str, Wanted], Match]:
    """Find a network in a file, and hold it against what is expected."""
    found = find_network(dicts, path, address, family_of(name))
    expected = expected_entries(name, found.entries, pooling)
    if mask_token and MASK_TOKEN in found.entries:
        width = feature_dim(name)
        expected[MASK_TOKEN] = Wanted("params", (MASK_TOKEN,), (1, width))
    entries, notes = with_periods(found.entries, expected, found.notes)
    found = found._replace(entries=entries, notes=notes)
    return found, expected, compare_entries(entries, expected)


def _say_match(
    path: Path,
    name: str,
    found: Found,
    match: Match,
    dropped: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    if note := swapped_suffix(path, file_kind(path)):
        say(note)
    for line in match_summary(path, name, found, match, dropped):
        say(line)


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
        if kernel and not read_floats(path, entries[entry]).any():
            return dict.fromkeys(classifier, "its weights are all zero")
    return {}


def _read_checked(path: Path, entry: Entry, key: tuple[str, ...]) -> np.ndarray:
    """Read an entry that a trained network can have.

    Biases may be zero altogether, and scales of a normalization: a residual block's
    last one often begins so (Goyal et al. 2017). A kernel may not: it begins with
    random numbers, and training does not take all of them to 0.
    """
    values = read_floats(path, entry)
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
    path: Path,
    name: str,
    params: Tree,
    batch_stats: Tree,
    *,
    metadata: dict[str, str],
    layout: str = "own",
) -> None:
    """Write a .safetensors file, whole or not at all.

    With the layout "own" names are the authors': torchvision's, SwAV's and
    SupContrast's of residual networks and heads, timm's of plain vision transformers,
    and those of facebookresearch/dinov2 and dinov3. With "timm", torch reads it with
    `safetensors.torch.load_file` and the strict `load_state_dict` of timm's model
    (`timm_model`); projection heads and prototypes are left out, and `read_weights`
    reads it all the same.

    Args:
        path: the file.
        name: the network, one of `NETWORKS`.
        params: as `read_weights` returns them.
        batch_stats: likewise.
        metadata: what `read_metadata` gives back.
        layout: one of `LAYOUTS`.

    Raises:
        ConfigError: for a layout that does not exist, or one without a place for what
            the network has.
    """
    from safetensors.numpy import save

    check_known("layout", layout, LAYOUTS)
    if layout == "timm":
        params, batch_stats = (
            {part: tree for part, tree in trees.items() if part in ("backbone", "fc")}
            for trees in (params, batch_stats)
        )
    hidden = params.get("head", {})
    marks = {"bn1": "mlp_bn", "fc3": "mlp_gelu", "fc1": "mlp"}
    head = next((marks[layer] for layer in marks if layer in hidden), "linear")
    leaves = {**flatten_dict(params), **flatten_dict(batch_stats)}
    family = family_of(name)
    entries = {
        torch_name(key, family, head=head): to_torch(leaf)
        for key, leaf in leaves.items()
    }
    if layout == "timm":
        entries = timm_entries(entries)
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


def network_of_file(path: Path) -> str:
    """Name the vision transformer in a file by its shapes.

    Args:
        path: the file, or FILE::ENTRY.

    Returns:
        one of `NETWORKS`; "" where none fits or several do, or where the file is not
        whole, which is said when it is read.
    """
    path, _ = split_address(Path(path))
    try:
        with _open(path) as dicts:
            names = named_by_shapes(dicts)
    except CheckpointError:
        return ""
    return names[0] if len(names) == 1 else ""


def _open(path: Path) -> contextlib.AbstractContextManager[StateDicts]:
    return (open_safetensors if file_kind(path) == "safetensors" else open_pth)(path)
