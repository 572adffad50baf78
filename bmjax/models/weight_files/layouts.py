"""Vision transformers under other programs' names, as their authors name them.

One network is published under several names: as facebookresearch/dinov2 and dinov3
save it, and DinoBloom likewise; timm's; and those of Hugging Face's transformers. Here
the latter two are recognized and renamed, joined or completed, so that the rest of the
library knows the authors' names alone. No numbers are read before they are asked for,
but for DINOv3's masks.

Sources: timm 1.0.31, `vision_transformer.py` and `eva.py` (`checkpoint_filter_fn`);
transformers, `convert_dinov2_to_hf.py` and `convert_dinov3_vit_to_hf.py`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from bmjax.models.rope import default_periods
from bmjax.models.weight_files.entries import FLOATS, Entry
from bmjax.models.weight_files.joined_entries import (
    MASK,
    join_entries,
    join_unbiased_keys,
    own_mask,
    with_zero_first,
    without_class,
)

PERIODS = "rope_embed.periods"
_NO_BIAS = "biases of {}: zeros, as the file has none"
_CHUNKED = re.compile(r"(?:^|\.)blocks\.(\d+)\.(\d+)\.(?:norm[12]|attn|ls[12]|mlp)\.")

_HUGGING_FACE = (
    (r"embeddings\.(cls_token|mask_token)", r"\1"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.register_tokens", "REGISTERS"),
    (
        r"embeddings\.patch_embeddings(?:\.proj(?:ection)?)?\.(\w+)",
        r"patch_embed.proj.\1",
    ),
    (r"(?:layernorm|norm)\.(\w+)", r"norm.\1"),
    (r"(?:encoder\.|model\.)?layer\.(\d+)\.(.+)", r"blocks.\1.\2"),
)
_HUGGING_FACE_BLOCK = (
    (r"attention\.(?:attention\.)?q(?:uery|_proj)\.(\w+)", r"attn.q.\1"),
    (r"attention\.(?:attention\.)?k(?:ey|_proj)\.(\w+)", r"attn.k.\1"),
    (r"attention\.(?:attention\.)?v(?:alue|_proj)\.(\w+)", r"attn.v.\1"),
    (r"attention\.(?:output\.dense|o_proj)\.(\w+)", r"attn.proj.\1"),
    (r"layer_scale([12])\.lambda1", r"ls\1.gamma"),
    (r"mlp\.weights_in\.(\w+)", r"mlp.w12.\1"),
    (r"mlp\.weights_out\.(\w+)", r"mlp.w3.\1"),
)
# Of DINOv3, by whether the MLP has a gate.
_HUGGING_FACE_MLP = {
    False: (
        (r"mlp\.up_proj\.(\w+)", r"mlp.fc1.\1"),
        (r"mlp\.down_proj\.(\w+)", r"mlp.fc2.\1"),
    ),
    True: (
        (r"mlp\.gate_proj\.(\w+)", r"mlp.w1.\1"),
        (r"mlp\.up_proj\.(\w+)", r"mlp.w2.\1"),
        (r"mlp\.down_proj\.(\w+)", r"mlp.w3.\1"),
    ),
}
_TIMM_BLOCK = (
    (r"gamma_([12])", r"ls\1.gamma"),
    (r"attn\.([qv])_bias", r"attn.\1.bias"),
    (r"mlp\.fc1_g\.(\w+)", r"mlp.w1.\1"),
    (r"mlp\.fc1_x\.(\w+)", r"mlp.w2.\1"),
)

_Renames = tuple[tuple[str, str], ...]


class Translated(NamedTuple):
    """Entries under the authors' names, those of other networks and heads as they were.

    notes: a sentence for each thing that is not as in the file; () where all is.
    """

    entries: dict[str, Entry]
    notes: tuple[str, ...]


def translate(entries: Mapping[str, Entry]) -> Translated:
    """Give each vision transformer in a dict of tensors its authors' names.

    Args:
        entries: by name, without what torch's wrappers put before.
    """
    found, notes = dict(entries), []
    for prefix in _prefixes(found, r"embeddings\.cls_token"):
        below = _take(found, prefix)
        translated, said = _from_hugging_face(below)
        notes += ["names: Hugging Face's, read as the authors'", *said]
        found |= {f"{prefix}{name}": entry for name, entry in translated.items()}
    timm = r"reg_token|blocks\.0\.gamma_1|blocks\.0\.mlp\.fc1\.weight"
    for prefix in _prefixes(found, timm):
        below = _take(found, prefix)
        translated, said = below, []
        if _is_timms(below):
            translated, said = _from_timm(below)
            notes += ["names: timm's, read as the authors'", *said]
        found |= {f"{prefix}{name}": entry for name, entry in translated.items()}
    if _settle_masks(found):
        notes.append(
            "masks of biases that were never set: 1 for queries and values, 0 for "
            "keys, as facebookresearch/dinov3 sets them"
        )
    return Translated(found, tuple(dict.fromkeys(notes)))


def with_periods(
    entries: Mapping[str, Entry], expected: Mapping[str, tuple], notes: tuple[str, ...]
) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """Complete a translated network by the periods that no other layout keeps.

    Args:
        entries: of a network, by the authors' names.
        expected: what the network wants, by name, with the shape last.
        notes: of its translation; without any it is under its authors' names, and must
            have its periods.

    Returns:
        the entries, and the notes with one on what was done.
    """
    wanted = expected.get(PERIODS)
    if not notes or wanted is None or PERIODS in entries:
        return dict(entries), notes
    shape = wanted[-1]

    def read() -> np.ndarray:
        return np.array(default_periods(*shape), np.float32)

    note = (
        f"computed: {PERIODS}, in float32; the authors' files hold them rounded to "
        "bfloat16, which changes features a little"
    )
    return {**entries, PERIODS: Entry(PERIODS, shape, "float32", read)}, (*notes, note)


def chunks_of(names: Mapping[str, Entry]) -> str:
    """What is wrong with a network whose blocks are in chunks; "" where they are not.

    They are where facebookresearch/dinov2 trains with `block_chunks` above 0.
    """
    found = [match.groups() for name in names if (match := _CHUNKED.search(name))]
    if not found:
        return ""
    chunks = len({chunk for chunk, _ in found})
    return (
        f"has its blocks in {chunks:,} chunk{'s' * (chunks > 1)} "
        f"(blocks.{found[0][0]}.{found[0][1]}.), expected one list (blocks.0.); name "
        "them blocks.NUMBER., as with block_chunks=0"
    )


def _prefixes(entries: Mapping[str, Entry], marker: str) -> list[str]:
    """What stands before entries of these names."""
    pattern = re.compile(rf"((?:.*\.)?)(?:{marker})")
    found = (pattern.fullmatch(name) for name in entries)
    return sorted({match[1] for match in found if match})


def _take(entries: dict[str, Entry], prefix: str) -> dict[str, Entry]:
    names = [name for name in entries if name.startswith(prefix)]
    return {name.removeprefix(prefix): entries.pop(name) for name in names}


def _rename(name: str, renames: _Renames) -> str:
    for pattern, replacement in renames:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return name


def _rename_in_blocks(name: str, renames: Callable[[str], _Renames]) -> str:
    """Rename what is in a block, by rules that may be of the block (its number)."""
    match = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
    if not match:
        return name
    return f"blocks.{match[1]}.{_rename(match[2], renames(match[1]))}"


def _blocks(entries: Mapping[str, Entry]) -> list[str]:
    found = (re.match(r"blocks\.\d+\.", name) for name in entries)
    return list(dict.fromkeys(match[0] for match in found if match))


def _from_hugging_face(
    entries: dict[str, Entry],
) -> tuple[dict[str, Entry], list[str]]:
    learned = "embeddings.position_embeddings" in entries
    first = {_rename(name, _HUGGING_FACE): entry for name, entry in entries.items()}

    def renames(block: str) -> _Renames:
        gated = f"blocks.{block}.mlp.gate_proj.weight" in first
        more = () if learned else _HUGGING_FACE_MLP[gated]
        return (*_HUGGING_FACE_BLOCK, *more)

    found = {_rename_in_blocks(name, renames): entry for name, entry in first.items()}
    _name_registers(found, "REGISTERS", learned)
    for block in _blocks(found):
        at = f"{block}attn."
        join_entries(found, f"{at}qkv.weight", [f"{at}{part}.weight" for part in "qkv"])
        if learned:
            join_entries(found, f"{at}qkv.bias", [f"{at}{part}.bias" for part in "qkv"])
        else:
            join_unbiased_keys(found, block)
    return found, [] if learned else [_NO_BIAS.format("keys")]


def _is_timms(entries: Mapping[str, Entry]) -> bool:
    """Whether some name or shape is one that only timm gives."""
    return (
        "reg_token" in entries
        or "blocks.0.gamma_1" in entries
        or ("blocks.0.ls1.gamma" in entries and _packed(entries, "blocks.0."))
    )


def _packed(entries: Mapping[str, Entry], block: str) -> bool:
    """Whether the MLP has its gate and its hidden layer in one, as SwiGLUPacked."""
    first, second = (entries.get(f"{block}mlp.fc{k}.weight") for k in (1, 2))
    if not first or not second or len(first.shape) != 2 or len(second.shape) != 2:
        return False
    return first.shape[0] == 2 * second.shape[1]


def _from_timm(entries: dict[str, Entry]) -> tuple[dict[str, Entry], list[str]]:
    learned = "pos_embed" in entries

    def renames(block: str) -> _Renames:
        if _packed(entries, f"blocks.{block}."):
            mlp = (
                (r"mlp\.fc1\.(\w+)", r"mlp.w12.\1"),
                (r"mlp\.fc2\.(\w+)", r"mlp.w3.\1"),
            )
        elif f"blocks.{block}.mlp.fc1_g.weight" in entries:
            mlp = ((r"mlp\.fc2\.(\w+)", r"mlp.w3.\1"),)
        else:
            mlp = ()
        return (*_TIMM_BLOCK, *mlp)

    found = {_rename_in_blocks(name, renames): entry for name, entry in entries.items()}
    _name_registers(found, "reg_token", learned)
    notes = []
    if learned and "reg_token" in entries and without_class(found["pos_embed"]):
        found["pos_embed"] = with_zero_first(found["pos_embed"])
        notes.append(
            "position of the class token: zero, as timm has added it to cls_token"
        )
    if not learned:
        biased = any(name.endswith("attn.q.bias") for name in found)
        for block in _blocks(found):
            join_unbiased_keys(found, block)
        which = "keys" if biased else "queries, keys and values"
        notes.append(_NO_BIAS.format(which))
    return found, notes


def _name_registers(found: dict[str, Entry], name: str, learned: bool) -> None:
    """DINOv2, with learned positions, and DINOv3 call them differently."""
    if name in found:
        found["register_tokens" if learned else "storage_tokens"] = found.pop(name)


def _settle_masks(found: dict[str, Entry]) -> bool:
    """Replace masks that are not a number, as before they are set; say if any was."""
    unset = False
    for name, entry in found.items():
        if not name.endswith(MASK) or entry.type not in FLOATS:
            continue
        values = entry.read()
        if values.ndim == 1 and len(values) % 3 == 0 and np.isnan(values).any():
            values = np.where(np.isnan(values), own_mask(len(values)), values)
            found[name] = entry._replace(read=partial(np.asarray, values))
            unset = True
    return unset
