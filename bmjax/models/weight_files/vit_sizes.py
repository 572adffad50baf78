"""Which vision transformer a file holds, as its entries' shapes tell it.

The number of heads is not among them: it follows from the network that fits.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from bmjax.models.families import NETWORKS
from bmjax.models.vision_transformer import VitSpec
from bmjax.models.weight_files.entries import Entry

_MLPS = {
    "fc1": "gelu",
    "w12": "swiglu_joint",
    "w1": "swiglu",
}
_REGISTERS = ("register_tokens", "storage_tokens", "reg_token")


class VitSizes(NamedTuple):
    """What shapes tell.

    positions: learned ones, with the class token's; 0 where there are none.
    scales: branches with factors of LayerScale; two a block where all have.
    """

    width: int
    depth: int
    patch: int
    mlp: str
    registers: int
    positions: int
    scales: int


def read_sizes(entries: Mapping[str, Entry]) -> VitSizes | None:
    """Tell what a network under its authors' names is; None: no vision transformer."""
    kernel = _shape(entries, "patch_embed.proj.weight")
    numbers = [int(m[1]) for n in entries if (m := re.match(r"blocks\.(\d+)\.", n))]
    if len(kernel) != 4 or not numbers:
        return None
    registers = [shape[1] for n in _REGISTERS if len(shape := _shape(entries, n)) == 3]
    positions = _shape(entries, "pos_embed")
    return VitSizes(
        width=kernel[0],
        depth=1 + max(numbers),
        patch=kernel[2],
        mlp=next(
            (m for k, m in _MLPS.items() if f"blocks.0.mlp.{k}.weight" in entries),
            "none",
        ),
        registers=registers[0] if registers else 0,
        positions=positions[1] if len(positions) == 3 else 0,
        scales=sum(bool(re.search(r"\.ls[12]\.gamma$", name)) for name in entries),
    )


def sizes_of(spec: VitSpec) -> VitSizes:
    """What a file of such a network tells."""
    return VitSizes(
        width=spec.width,
        depth=spec.depth,
        patch=spec.patch,
        mlp=spec.mlp,
        registers=spec.registers,
        positions=0 if spec.rotary else 1 + (spec.size // spec.patch) ** 2,
        scales=2 * spec.depth if spec.layer_scale else 0,
    )


def networks_of(sizes: VitSizes) -> list[str]:
    """The names of the networks that are so."""
    return [
        name
        for name, spec in NETWORKS.items()
        if isinstance(spec, VitSpec) and sizes_of(spec) == sizes
    ]


def describe(sizes: VitSizes) -> str:
    """What it is, in words and numbers."""
    return ", ".join(_WORDS[name](sizes) for name in VitSizes._fields)


def differences(sizes: VitSizes, expected: VitSizes) -> str:
    """In what it is another than expected, with both values; "" where in nothing."""
    return "; ".join(
        f"{_WORDS[name](sizes)}, expected {_WORDS[name](expected)}"
        for name in VitSizes._fields
        if getattr(sizes, name) != getattr(expected, name)
    )


def _shape(entries: Mapping[str, Entry], name: str) -> tuple[int, ...]:
    return entries[name].shape if name in entries else ()


def _positions(sizes: VitSizes) -> str:
    count = sizes.positions - 1
    if count < 0:
        return "no learned positions"
    side = math.isqrt(count)
    if side**2 != count:
        return f"{sizes.positions:,} positions (not 1 + n x n)"
    pixels = side * sizes.patch
    return f"positions of 1 + {side} x {side} patches ({pixels} pixels)"


_WORDS = {
    "width": lambda a: f"width {a.width:,}",
    "depth": lambda a: f"{a.depth:,} blocks",
    "patch": lambda a: f"patches of {a.patch} pixels",
    "mlp": lambda a: f"MLP {a.mlp!r}",
    "registers": lambda a: f"{a.registers:,} registers",
    "positions": _positions,
    "scales": lambda a: f"LayerScale in {a.scales:,} branches",
}
