"""Numbers and names as a reader sees them."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from bmjax.data.matek import class_name
from bmjax.report.run_files import finite

NONE = "\N{EN DASH}"  # shown where there is no number
# Of runs whose results.json has no method_title.
METHOD_TITLES = {"swav": "SwAV", "supcon": "SupCon", "dino": "DINO", "ibot": "iBOT"}


def score(value: Any) -> str:
    """A score with three decimals, or a dash."""
    number = finite(value)
    return NONE if number is None else f"{number:.3f}"


def with_sd(value: float, sd: Any, *, sign: str = "") -> str:
    """A number and, where there is one, its standard deviation: `0.655 ± 0.009`."""
    spread = score(sd)
    return f"{value:{sign}.3f}" + ("" if spread == NONE else f" ± {spread}")


def interval_text(low: float, high: float) -> str:
    """The two ends of an interval."""
    return f"{low:.3f}\N{EN DASH}{high:.3f}"


def difference(value: float) -> str:
    """A difference with its sign, `+0.012`."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    """A p-value with its sign of relation, `= 0.041` or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def count(value: Any) -> str:
    """A whole number with its thousands apart, or a dash."""
    number = finite(value)
    return NONE if number is None else f"{number:,.0f}"


def duration_text(seconds: Any) -> str:
    """Seconds in the two units that matter: `2 d 3 h`, `1 h 4 min`, `12.3 s`."""
    number = finite(seconds)
    if number is None:
        return NONE
    if number < 60:
        return f"{number:.1f} s"
    minutes, second = divmod(round(number), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    return f"{hours} h {minute} min" if hours else f"{minutes} min {second} s"


def listing(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def method_name(method: Any) -> str:
    """A method's name as its paper writes it."""
    return METHOD_TITLES.get(str(method), str(method or "unknown method").capitalize())


def probe_name(probe: str) -> str:
    """`linear`, `knn_20` and `dinobloom_knn_20` in words."""
    if probe.startswith("dinobloom_"):
        return f"{probe_name(probe.removeprefix('dinobloom_'))}, DinoBloom's protocol"
    neighbors = re.fullmatch(r"knn_(\d+)", probe)
    if neighbors:
        return f"{neighbors[1]}-nearest neighbor{'' if neighbors[1] == '1' else 's'}"
    names = {"linear": "Linear probe", "logistic": "Logistic regression"}
    return names.get(probe, probe.replace("_", " "))


def shown_path(path: str) -> str:
    """A relative path as it is; of an absolute one, the folder and the file alone."""
    kind = PureWindowsPath if PureWindowsPath(path).drive else PurePosixPath
    whole = kind(path)
    return "/".join(whole.parts[1:][-2:]) if whole.is_absolute() else path


def value_text(value: Any) -> str:
    """Any value in words, a dash where there is none."""
    if isinstance(value, list | tuple):
        return listing([str(item) for item in value])
    return NONE if value is None or value == "" else str(value)


def full_name(label: str) -> str:
    """The release's name of a class; "" for a class that has no other name."""
    name = class_name(label)
    return "" if name == label else name
