"""What the devices say to each other in a compiled program, read from its text."""

import collections
import math
import re
from collections.abc import Callable
from typing import NamedTuple

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# Their result, while they are under way, is a pair of operands and results.
_SHOW_OPERANDS = ("all-gather", "collective-permute")
_HEAD = re.compile(r"^(ENTRY )?%?([^\s(]+) \(.*\{$")
_OPERATION = re.compile(rf" = (.+?) ({'|'.join(KINDS)})(-start)?\(")
_SHAPE = re.compile(r"([a-z]+\d*)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:body|to_apply|calls)=%?([^\s,)}]+)")
_BRANCHES = re.compile(r"(?:branch_computations=\{([^}]*)\}|_computation=%?([^\s,)]+))")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_BITS = re.compile(r"\d+")


class Collective(NamedTuple):
    """One kind of collective, over a whole program."""

    count: int = 0
    bytes: int = 0  # of the results, on one device

    def __add__(self, other: "Collective") -> "Collective":
        return Collective(self.count + other.count, self.bytes + other.bytes)

    def __mul__(self, turns: int) -> "Collective":
        return Collective(self.count * turns, self.bytes * turns)


Collectives = dict[str, Collective]


def collectives(text: str) -> Collectives:
    """Count the collectives that one run of a program makes, by kind.

    What stands in a loop counts as often as it turns, where the compiler knows, and
    once where not; of a conditional's branches the one with the most bytes counts. An
    operation that carries several arrays at once is one.

    Args:
        text: of a compiled program, `jax.stages.Compiled.as_text()`.
    """
    entry, bodies = _computations(text)
    done: dict[str, Collectives] = {}

    def of(name: str) -> Collectives:
        if name not in done:
            total: Collectives = {}
            for line in bodies.get(name, ()):
                total = _sum(total, _of_line(line, of))
            done[name] = total
        return done[name]

    return of(entry)


def _of_line(line: str, of: Callable[[str], Collectives]) -> Collectives:
    if found := _OPERATION.search(line):
        shape, kind, started = found.groups()
        with_operands = bool(started) and kind in _SHOW_OPERANDS
        return {kind: Collective(1, _bytes(shape, with_operands=with_operands))}
    if " async-done(" in line or " async-update(" in line:
        return {}
    if " conditional(" in line:
        names = [
            name.strip().lstrip("%")
            for several, one in _BRANCHES.findall(line)
            for name in (several or one).split(",")
        ]
        return max(map(of, names), key=lambda each: sum(c.bytes for c in each.values()))
    turns = 1
    if " while(" in line and (known := _TURNS.search(line)):
        turns = int(known[1])
    total: Collectives = {}
    for name in _CALLED.findall(line):
        total = _sum(total, {k: c * turns for k, c in of(name).items()})
    return total


def _sum(first: Collectives, second: Collectives) -> Collectives:
    kinds = first | second
    none = Collective()
    return {kind: first.get(kind, none) + second.get(kind, none) for kind in kinds}


def _computations(text: str) -> tuple[str, dict[str, list[str]]]:
    """The entry's name, and the lines of each computation."""
    entry, name = "", ""
    bodies: dict[str, list[str]] = collections.defaultdict(list)
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name = head[2]
            entry = name if head[1] else entry
        elif line.startswith("}"):
            name = ""
        elif name:
            bodies[name].append(line)
    return entry, bodies


def _bytes(shape: str, *, with_operands: bool) -> int:
    sizes = [
        _bits(kind) * math.prod(int(n) for n in dims.split(",") if n) // 8
        for kind, dims in _SHAPE.findall(shape)
    ]
    # (operands, results): as many of each.
    return sum(sizes[len(sizes) // 2 :] if with_operands else sizes)


def _bits(kind: str) -> int:
    """Of a type such as f32, bf16 or pred."""
    found = _BITS.search(kind)
    return int(found[0]) if found else 8
