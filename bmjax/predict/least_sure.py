"""The cells whose predicted class is least sure, kept while a folder is predicted."""

import heapq
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.encoder import Encoder
from bmjax.report.explained_page import ExplainedCell, write_explained


class _Kept(NamedTuple):
    """Compared by the first two: the first of the heap is the surest."""

    minus_probability: float
    minus_position: int
    path: str
    pixels: np.ndarray
    probabilities: np.ndarray


class LeastSure:
    """Keeps the pixels and probabilities of the least sure cells, and no others.

    Of equally sure ones the first images are kept.
    """

    def __init__(self, limit: int):
        """Keep at most `limit` cells."""
        self._limit = limit
        self._heap: list[_Kept] = []

    def add(
        self, position: int, path: str, pixels: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Look at one cell; it is copied if it is kept."""
        key = (-float(probabilities.max()), -position)
        if len(self._heap) == self._limit:
            if not self._heap or key <= self._heap[0][:2]:
                return
            heapq.heappop(self._heap)
        kept = _Kept(*key, path, pixels.copy(), np.array(probabilities))
        heapq.heappush(self._heap, kept)

    def write(self, page: Path, encoder: Encoder, images: int) -> None:
        """Map the cells and write their page.

        Args:
            page: .html.
            encoder: that predicted them.
            images: how many were predicted in all.

        Raises:
            DataError: the page cannot be written.
        """
        kept = sorted(self._heap, key=lambda cell: cell[:2], reverse=True)
        maps = encoder.saliency(np.stack([cell.pixels for cell in kept]))
        cells = [
            ExplainedCell(cell.path, cell.pixels, cell.probabilities, values)
            for cell, values in zip(kept, maps, strict=True)
        ]
        write_explained(
            page,
            cells,
            encoder.classes,
            kind=encoder.saliency_kind,
            images=images,
            description=encoder.description,
        )
