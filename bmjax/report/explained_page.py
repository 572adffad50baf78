"""Cells with where the network looks, on one HTML page without network or script."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.report.pictures import data_uri
from bmjax.report.render import render, write_page
from bmjax.report.saliency_file import heat
from bmjax.report.words import count, score, shown_path

_SIDE = 160  # pixels of a picture
_SHOWN = 3  # classes of a cell


class ExplainedCell(NamedTuple):
    """One cell, its probabilities, and its map.

    Attributes:
        path: of the image.
        pixels: uint8 [S, S, 3], RGB, as the network takes them.
        probabilities: float [N].
        saliency: float [rows, columns].
    """

    path: str
    pixels: np.ndarray
    probabilities: np.ndarray
    saliency: np.ndarray


def write_explained(
    path: Path,
    cells: Sequence[ExplainedCell],
    classes: Sequence[str],
    *,
    kind: str,
    images: int,
    description: str,
) -> Path:
    """Write the page.

    Args:
        path: of the page.
        cells: in the order in which they are shown.
        classes: names, in the order of the probabilities.
        kind: of the maps, "attention" or "class activation".
        images: how many were predicted in all.
        description: of the network.

    Raises:
        DataError: it cannot be written there.
    """
    contents = {
        "kind": kind,
        "network": description,
        "images": count(images),
        "cells": [_describe(cell, classes) for cell in cells],
    }
    return write_page(path, render("explained.html", contents))


def _describe(cell: ExplainedCell, classes: Sequence[str]) -> dict[str, object]:
    import cv2

    pixels = cv2.resize(cell.pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    order = np.argsort(-cell.probabilities, kind="stable")[:_SHOWN]
    return {
        "file": shown_path(cell.path),
        "picture": data_uri(pixels),
        "heat": data_uri(heat(pixels, cell.saliency)),
        "classes": [(classes[i], score(float(cell.probabilities[i]))) for i in order],
    }
