"""Figures that documents show, and docs/figures.csv, which says where each is from.

A figure is a number that looks measured: with a decimal point or exponent, a
percentage, or with a unit of time, memory or rate. Code, addresses and versions are
none.
"""

import ast
import csv
import json
import operator
import re
import statistics
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

Span = tuple[int, int]

_NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
_WORD = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
    "|half an?"
)
_TIME = "microseconds?|milliseconds?|ms|seconds?|s|minutes?|min|hours?|h|days?|weeks?"
_UNIT = (
    rf"(?:{_TIME}|percent|times|[kMGT]i?B|[MGT]FLOPs?(?:/s)?|(?:images|steps|cells)/s"
    r"|(?:images|steps|cells)(?: of \d+ pixels)? (?:a|per) second)\b"
)
_FIGURE = re.compile(
    rf"(?<![\w.,])(?:\d[\d,]*\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+"
    rf"|{_NUMBER}(?=\s?%)|{_NUMBER}(?=\s(?:to\s{_NUMBER}\s)?{_UNIT})"
    rf"|\b(?:{_WORD})(?=\s(?:and\sa\shalf\s)?(?:{_TIME})\b))(?![\w]|\.\d)",
    re.IGNORECASE,
)
_NO_FIGURES = [
    re.compile(r"```.*?```", re.DOTALL),
    re.compile(r"`[^`]*`"),
    re.compile(r"\]\([^)]*\)"),
    re.compile(
        r"(?:Apache|CC\sBY|CUDA|PCI\sExpress|PyTorch|Python|bmjax|flax|jax|numpy|onnxruntime"
        r"|scikit-learn|timm|torch|transformers)[\s-]v?\d[\d.]*(?:(?:\sto|,|\sand)\s\d+\.\d+)*",
        re.IGNORECASE,
    ),
]


def figures_in(text: str) -> list[Span]:
    """Where the figures of a document are."""
    for none in _NO_FIGURES:
        text = none.sub(lambda found: re.sub(r"\S", "#", found[0]), text)
    return [found.span() for found in _FIGURE.finditer(text)]


class Row(NamedTuple):
    """A line of docs/figures.csv."""

    document: str
    shown: str
    source: str
    key: str


def read_rows(path: Path) -> list[Row]:
    """All lines of the table."""
    with path.open(newline="") as file:
        return [Row(**line) for line in csv.DictReader(file)]


def places(shown: str, text: str) -> list[re.Match]:
    """Where a row's words stand in a document; its numbers in braces are the groups."""
    pieces = re.split(rf"(\{{{_NUMBER}\}})", shown)
    pattern = "".join(
        f"({re.escape(piece[1:-1])})" if n % 2 else _words(piece)
        for n, piece in enumerate(pieces)
    )
    return list(re.finditer(pattern, text, re.DOTALL))


def _words(piece: str) -> str:
    """Any white space for white space, and anything for three dots."""
    parts = re.split(r"(\s+|\.\.\.)", piece)
    return "".join(
        ".*?" if part == "..." else r"\s+" if part.isspace() else re.escape(part)
        for part in parts
    )


def covered(place: re.Match) -> list[Span]:
    """The parts of a document that a row speaks for: what is in braces, else all."""
    groups = range(1, place.re.groups + 1)
    return [place.span(group) for group in groups] or [place.span()]


def agrees(shown: str, value: float) -> bool:
    """Whether a value, rounded to the digits of the figure, is the figure."""
    figure = Decimal(shown.replace(",", ""))
    half = Decimal(5).scaleb(figure.as_tuple().exponent - 1)
    # Halves may go either way, since the value is a float.
    return abs(Decimal(value) - figure) <= half * Decimal("1.000001")


_OVER: dict[str, Callable] = {
    "mean": statistics.fmean,
    "sd": statistics.stdev,
    "median": statistics.median,
    "min": min,
    "max": max,
    "sum": sum,
}


def stored_value(path: Path, key: str) -> float:
    """The number at one key of a stored result.

    Args:
        path: a JSON or CSV file.
        key: `PLACE [x FACTOR]`. A place in JSON is keys and positions joined by points,
            `*` for all; in a CSV a column, then `COLUMN=VALUE` or `COLUMN!=VALUE` for
            each condition on the rows. For each `*`, and for several rows of a CSV,
            one of mean, sd, median, min, max and sum stands before the place, the
            outermost first.
    """
    words, factor = key.split(), 1.0
    if words[-2:-1] == ["x"]:
        *words, _, last = words
        factor = float(last)
    over = [_OVER[word] for word in words if word in _OVER]
    place = words[len(over) :]
    if path.suffix == ".csv":
        found: Any = _csv_values(path, place)
        if not over:
            (found,) = found
    else:
        (joined,) = place
        found = _json_values(json.loads(path.read_text()), joined.split("."))
    return factor * float(_over(over, found))


def _over(functions: list[Callable], values: Any) -> Any:
    if not functions:
        return values
    return functions[0]([_over(functions[1:], value) for value in values])


def _json_values(value: Any, steps: list[str]) -> Any:
    """The value at a place; a list for each `*`."""
    if not steps:
        return value
    step, *rest = steps
    if step == "*":
        each = value.values() if isinstance(value, dict) else value
        return [_json_values(one, rest) for one in each]
    return _json_values(value[step if isinstance(value, dict) else int(step)], rest)


def _csv_values(path: Path, words: list[str]) -> list[float]:
    column, *conditions = words
    split = [re.split("(!?=)", condition) for condition in conditions]
    with path.open(newline="") as file:
        return [
            float(row[column])
            for row in csv.DictReader(file)
            if all((row[name] == value) == (how == "=") for name, how, value in split)
        ]


_ARITHMETIC: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def worked_out(expression: str) -> float:
    """The value of a sum of numbers."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp):
            return _ARITHMETIC[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant):
            return node.value
        raise ValueError(f"{expression} has something else than numbers and + - * / **")

    return float(value(ast.parse(expression, mode="eval").body))
