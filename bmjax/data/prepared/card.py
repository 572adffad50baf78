"""The data card of a prepared set: what it is, where from, how made, and its limits."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from bmjax.data.channel_stats import Moments
from bmjax.data.images.folder import TCIA
from bmjax.data.matek import CLASSES, class_name
from bmjax.data.prepared.builder import SPLIT, printable

_RELEASE = {cell.abbreviation: cell.images for cell in CLASSES}
_HOMEPAGE = "https://doi.org/10.7937/TCIA.AXH3-T579"
_LICENSE = "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"
_CITATION = """\
Matek, C., Krappe, S., Münzenmayer, C., Haferlach, T., & Marr, C. (2021). An
Expert-Annotated Dataset of Bone Marrow Cytology in Hematologic Malignancies [Data set].
The Cancer Imaging Archive. https://doi.org/10.7937/TCIA.AXH3-T579

Matek, C., Krappe, S., Münzenmayer, C., Haferlach, T., & Marr, C. (2021). Highly
accurate differentiation of bone marrow cell morphologies using deep neural networks on
a large image data set. Blood, 138(20), 1917-1927."""


class Contents(NamedTuple):
    """What a card tells of a set."""

    counts: dict[str, int]  # images of each class
    fingerprint: str
    moments: Moments
    refused: Sequence[str]  # paths of files that are no readable images
    notes: Sequence[str] = ()  # on what lay in the folder and was passed over


def texts(counts: dict[str, int]) -> dict[str, str]:
    """Description, homepage, citation and license of `tfds.core.DatasetInfo`."""
    whole = counts == _RELEASE
    return {
        "description": f"{sum(counts.values()):,} images of {len(counts)} classes of "
        "single cells, the files as they were.",
        "homepage": _HOMEPAGE if whole else "",
        "citation": _CITATION if whole else "",
        "license": _LICENSE if whole else "",
    }


def write_card(contents: Contents) -> str:
    """Return the card, in Markdown."""
    return "\n".join(
        [
            "# Prepared images of single cells",
            "",
            f"{sum(contents.counts.values()):,} images of {len(contents.counts)} "
            "classes, prepared by `python -m bmjax.data prepare` for training with "
            "bmjax (`--config.data.root=` this folder) or with any program that reads "
            "TensorFlow Datasets:",
            "",
            "```python",
            "import tensorflow_datasets as tfds",
            "",
            f'source = tfds.builder_from_directory(FOLDER).as_data_source("{SPLIT}")',
            "```",
            "",
            f"`{SPLIT}` is TensorFlow Datasets' name for a set that is not split: it "
            "holds every image, class after class. bmjax splits it by "
            "`config.data.split`; another reader has to shuffle and split it.",
            "",
            "## How it was made",
            "",
            "Every image was decoded once; the files were then stored as they were, "
            "byte for byte (`image`), with class (`label`) and path below the folder "
            "of classes (`path`), read back and compared.",
            "",
            f"* Fingerprint of paths and sizes: `{contents.fingerprint}`",
            f"* Mean of the channels (red, green, blue, white is 1): "
            f"{_numbers(contents.moments.mean)}",
            f"* Standard deviation: {_numbers(contents.moments.std)}",
            "",
            *_refused(contents.refused),
            *_passed_over(contents.notes),
            *_source(contents.counts),
            "## Classes",
            "",
            *_table(contents.counts),
            "",
            "## Limits",
            "",
            "Paths name no patients, so any split may have one patient's cells on both "
            "sides (`python -m bmjax.data leaks` looks for the nearest). Labels are "
            "those of the folders. Not for diagnosis.",
            "",
        ]
    )


def _refused(refused: Sequence[str]) -> list[str]:
    if not refused:
        return ["No image was refused.", ""]
    lines = [f"{len(refused):,} files that are no readable images were left out:", ""]
    return [*lines, *(f"* {_safe(path)}" for path in refused), ""]


def _passed_over(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    return ["Of the folder, besides:", "", *(f"* {_safe(note)}" for note in notes), ""]


def _source(counts: dict[str, int]) -> list[str]:
    if counts == _RELEASE:
        lead = f"Classes and counts are those of {TCIA}."
    elif counts.keys() <= _RELEASE.keys():
        lead = (
            f"The classes have names of {TCIA}, but not its counts. Where the images "
            "are from it:"
        )
    else:
        return [
            "## Source and licence",
            "",
            "Of whoever made the images; nothing was said of it when they were "
            "prepared. Write it here before passing them on.",
            "",
        ]
    return [
        "## Source and licence",
        "",
        lead,
        "",
        f"Licence: {_LICENSE}. Passing on and changing are allowed with the authors "
        "named and changes said; the archive's usage policy forbids trying to identify "
        "patients. Cite:",
        "",
        _CITATION,
        "",
    ]


def _table(counts: dict[str, int]) -> list[str]:
    lines = ["| class | name | images | in the release |", "| --- | --- | --- | --- |"]
    for cell, images in counts.items():
        release = f"{_RELEASE[cell]:,}" if cell in _RELEASE else "-"
        name = class_name(cell) if cell in _RELEASE else "-"
        lines.append(f"| {_safe(cell)} | {name} | {images:,} | {release} |")
    return lines


def _safe(name: str) -> str:
    """A name in Markdown, whatever is in it."""
    text = html.escape(printable(name))
    return "".join(f"&#{ord(c)};" if c in "|`*[]_~#!" else c for c in text)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.6f}" for value in values)
