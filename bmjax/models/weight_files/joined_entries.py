"""Entries made of several of a file, or of none; still read when asked for."""

import math

import numpy as np

from bmjax.models.weight_files.entries import FLOATS, Entry, kept_type

MASK = "attn.qkv.bias_mask"  # of DINOv3, in a block


def join_entries(found: dict[str, Entry], name: str, parts: list[str]) -> None:
    """Put entries one after another along the first axis, where all are there."""
    entries = [found.get(part) for part in parts]
    known = [entry for entry in entries if entry is not None and entry.shape]
    if len(known) != len(parts) or len({entry.shape[1:] for entry in known}) != 1:
        return  # found missing, and its parts too many
    for part in parts:
        del found[part]
    found[name] = _joined(known)


def _joined(entries: list[Entry]) -> Entry:
    strange = [entry.type for entry in entries if entry.type not in FLOATS]
    length = sum(entry.shape[0] for entry in entries)
    type_ = max(map(kept_type, entries), key=lambda kind: np.dtype(kind).itemsize)

    def read() -> np.ndarray:
        return np.concatenate([entry.read().astype(type_) for entry in entries])

    return Entry(
        ", ".join(dict.fromkeys(entry.name for entry in entries)),
        (length, *entries[0].shape[1:]),
        (strange or [type_.__name__])[0],
        read,
    )


def join_unbiased_keys(found: dict[str, Entry], block: str) -> None:
    """Make the bias of DINOv3, which has a mask of its keys', of what is there."""
    at = f"{block}attn."
    weight, parts = found.get(f"{at}qkv.weight"), [f"{at}{part}.bias" for part in "qv"]
    given = [found[part] for part in parts if part in found]
    if not weight or len(weight.shape) != 2 or f"{at}qkv.bias" in found:
        return
    third = weight.shape[0] // 3
    none = _constant(f"{at}k.bias", np.zeros(third, np.float32))
    if not given:
        found[f"{at}qkv.bias"] = _constant(
            f"{at}qkv.bias", np.zeros(3 * third, np.float32)
        )
    elif len(given) == 2:
        found[f"{at}qkv.bias"] = _joined([given[0], none, given[1]])
        for part in parts:
            del found[part]
    else:
        return  # one of two: found missing, and the other too many
    found[f"{block}{MASK}"] = _constant(MASK, own_mask(3 * third))


def _constant(name: str, values: np.ndarray) -> Entry:
    return Entry(name, values.shape, "float32", lambda: values)


def own_mask(length: int) -> np.ndarray:
    """DINOv3's mask of the biases of queries, keys and values: 1, 0, 1."""
    return np.repeat(np.array([1, 0, 1], np.float32), length // 3)


def without_class(positions: Entry) -> bool:
    """Whether there are as many positions as patches in a square, and no more."""
    count = positions.shape[1] if len(positions.shape) == 3 else 0
    return count > 0 and math.isqrt(count) ** 2 == count


def with_zero_first(positions: Entry) -> Entry:
    """Put the position of a class token before, which is zero."""
    one, count, width = positions.shape

    def read() -> np.ndarray:
        values = positions.read()
        return np.concatenate([np.zeros((one, 1, width), values.dtype), values], axis=1)

    return positions._replace(shape=(one, 1 + count, width), read=read)
