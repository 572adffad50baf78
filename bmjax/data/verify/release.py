"""What the release of Matek et al. 2021 must hold: names, folders, counts.

Numbers of a class run from 1 to its count without a gap, wherever that can be checked.
"""

import re
from collections.abc import Iterable, Sequence

from bmjax.data.matek import CLASSES
from bmjax.data.synthetic import image_path
from bmjax.data.verify.folder_content import LabeledFile
from bmjax.data.verify.kinds import Finding

SIZE = (250, 250)
COUNTS = {cell.abbreviation: cell.images for cell in CLASSES}
# Taken out by two public projects, which have eight of them in common: their blocks
# are lost, moved or wrongly colored. All decode without an error.
GARBLED = frozenset(
    (
        "ART_07788", "BLA_09522", "EBO_06999", "EOS_02571", "LYT_19975",
        "MYB_05527", "NGB_09454", "NGS_04035", "NGS_15228", "NGS_18642",
    )
)  # fmt: skip
_PATTERN = re.compile(r"([A-Z]{3})_(\d{5})\.jpg")


def is_release(classes: Sequence[str]) -> bool:
    """Whether class folders look like the release's: most have its abbreviations."""
    known = sum(name in COUNTS for name in classes)
    return 2 * known > len(classes)


def check_names(images: Iterable[LabeledFile], inside: str) -> list[Finding]:
    """Images whose name or folder is not the release's, and the garbled ones."""
    findings = []
    for path, label, _ in images:
        if label not in COUNTS:
            continue
        place = path.removeprefix(f"{inside}/") if inside else path
        if wrong := _wrong_name(place, label):
            findings.append(Finding("misnamed", path, wrong))
        elif place.rpartition("/")[2].removesuffix(".jpg") in GARBLED:
            findings.append(Finding("reported_garbled", path))
    return findings


def _wrong_name(place: str, label: str) -> str:
    """What is wrong with the path of an image below the class level, if anything."""
    name = place.rpartition("/")[2]
    match = _PATTERN.fullmatch(name)
    if not match:
        if _PATTERN.fullmatch(name[:3].upper() + name[3:].lower()):
            return f"expected {name[:3].upper() + name[3:].lower()}"
        return f"expected {label}_ and five digits and .jpg"
    if match[1] != label:
        return f"expected {label}_{match[2]}.jpg in this folder"
    number = int(match[2])
    if not 1 <= number <= COUNTS[label]:
        return f"expected a number from 1 to {COUNTS[label]}"
    expected = image_path(label, number, COUNTS[label]).as_posix()
    if place == expected:
        return ""
    # A part of the release may end its last folder at its own count.
    folder = place.removeprefix(f"{label}/").rpartition("/")[0]
    span = re.fullmatch(r"(\d+)-(\d+)", folder)
    if span and int(span[1]) <= number <= int(span[2]):
        return ""
    return "" if not folder else f"expected at {expected}"


def missing_numbers(paths: Iterable[str], label: str) -> list[str]:
    """Numbers of a class that none of its images has, as runs: "7", "12-40"."""
    names = (path.rpartition("/")[2] for path in paths)
    there = {int(match[2]) for match in map(_PATTERN.fullmatch, names) if match}
    runs: list[list[int]] = []
    for number in range(1, COUNTS[label] + 1):
        if number in there:
            continue
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [str(a) if a == b else f"{a}-{b}" for a, b in runs]
