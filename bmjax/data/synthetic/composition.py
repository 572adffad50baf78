"""What is painted on a cell beyond its plain nucleus and cytoplasm, and in which stain.

Each layer paints on the absorbance, float32 [3, FRAME, FRAME], in place.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from bmjax.data.synthetic import parts as parts
from bmjax.data.synthetic.parts import Pose, arc, line, outline, paint, ribbon, stain

# May-Gruenwald-Giemsa: each stain as the color it shows in a white light.
PINK = stain(0.88, 0.74, 0.86)
GRAY = stain(0.74, 0.66, 0.76)
GRAY_BLUE = stain(0.66, 0.67, 0.84)
PALE_BLUE = stain(0.62, 0.70, 0.94)
DEEP_BLUE = stain(0.40, 0.45, 0.80)
ORANGE = stain(0.92, 0.46, 0.36)
ROSE = stain(0.90, 0.62, 0.62)
AZURE = stain(0.50, 0.10, 0.50)
VIOLET = stain(0.20, 0.06, 0.36)
CHROMATIN = stain(0.27, 0.11, 0.50)
CLEFT = stain(0.56, 0.36, 0.76)
CLEAR = stain(0.93, 0.92, 0.97)


class CellShape(NamedTuple):
    """One cell in the frame: its pose and masks, each uint8 [FRAME, FRAME]."""

    pose: Pose
    body: np.ndarray
    nucleus: np.ndarray

    @property
    def cytoplasm(self) -> np.ndarray:
        """The body without the nucleus."""
        return cv2.subtract(self.body, self.nucleus)


def granules(
    rng: Generator,
    absorbance: np.ndarray,
    cell: CellShape,
    *,
    color: np.ndarray,
    count: int,
    size: tuple[float, float],
    everywhere: bool = False,
    opacity: float = 0.85,
) -> None:
    """Grains in the cytoplasm, or all over the cell."""
    where = cell.body if everywhere else cell.cytoplasm
    scale = cell.pose.radius / 65  # grains grow with the cell; sizes are for 65 pixels
    mask = parts.dots(rng, where, count, size[0] * scale, size[1] * scale)
    paint(absorbance, cv2.min(mask, cell.body), color, opacity=opacity)


def nucleoli(
    rng: Generator, absorbance: np.ndarray, cell: CellShape, *, least: int, most: int
) -> None:
    """Pale round bodies with a dark ring inside the nucleus."""
    count = int(rng.integers(least, most + 1))
    turn = rng.uniform(0, 2 * np.pi)
    for angle in turn + np.arange(count) * 2 * np.pi / count:
        reach = rng.uniform(0.26, 0.46) if count > 1 else 0.15
        center = (reach * np.cos(angle), reach * np.sin(angle))
        size = rng.uniform(0.11, 0.15)
        ring = parts.fill([outline(rng, 1.35 * size, center)], cell.pose)
        core = parts.fill([outline(rng, size, center, wobble=0.08)], cell.pose)
        paint(absorbance, ring, CHROMATIN, opacity=0.8)
        paint(absorbance, cv2.blur(core, (3, 3)), stain(0.55, 0.50, 0.86))


def halo(
    rng: Generator, absorbance: np.ndarray, cell: CellShape, *, width: float
) -> None:
    """A pale ring close around the nucleus."""
    size = 2 * round(width * cell.pose.radius) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    ring = cv2.min(cv2.dilate(cell.nucleus, kernel), cell.body)
    paint(absorbance, cv2.blur(ring, (5, 5)), PALE_BLUE, opacity=0.8)


def hof(rng: Generator, absorbance: np.ndarray, cell: CellShape) -> None:
    """The pale court beside a plasma cell's nucleus."""
    court = parts.fill([outline(rng, 0.34, (0.12, 0.0), wobble=0.06)], cell.pose)
    paint(absorbance, cv2.blur(court, (7, 7)), stain(0.80, 0.78, 0.93), opacity=0.85)


def clock_face(rng: Generator, absorbance: np.ndarray, cell: CellShape) -> None:
    """Blocks of chromatin along the rim, as the hours on a dial."""
    hours = rng.uniform(0, 2 * np.pi) + np.arange(8) * 2 * np.pi / 8
    blocks = [
        outline(rng, 0.095, (-0.40 + 0.31 * np.cos(hour), 0.31 * np.sin(hour)))
        for hour in hours
    ]
    blocks.append(outline(rng, 0.09, (-0.40, 0.0)))
    paint(absorbance, parts.fill(blocks, cell.pose), VIOLET)


def vacuoles(rng: Generator, absorbance: np.ndarray, cell: CellShape) -> None:
    """Clear droplets in the cytoplasm."""
    mask = parts.dots(rng, cell.cytoplasm, int(rng.integers(6, 14)), 2.5, 6.0)
    paint(absorbance, cv2.min(mask, cell.body), CLEAR, opacity=0.85)


def auer_rods(rng: Generator, absorbance: np.ndarray, cell: CellShape) -> None:
    """Bundles of needles in the cytoplasm."""
    rods = []
    for _ in range(int(rng.integers(4, 6))):
        middle = rng.uniform(-0.2, 0.75), rng.uniform(-0.65, 0.65)
        course = rng.uniform(0, np.pi)
        for _ in range(5):
            angle = course + rng.normal(0, 0.07)
            half = rng.uniform(0.25, 0.4) * np.array([np.cos(angle), np.sin(angle)])
            center = middle + rng.normal(0, 0.07, 2)
            rods.append(ribbon(line(center - half, center + half), 0.05))
    mask = cv2.min(parts.fill(rods, cell.pose), cell.body)
    paint(absorbance, mask, stain(0.62, 0.05, 0.36))


def crease(rng: Generator, absorbance: np.ndarray, cell: CellShape) -> None:
    """The fold of a monocyte's nucleus."""
    path = arc(0.45, 2.4, 3.8, 16) + np.array([0.15, rng.uniform(-0.1, 0.1)])
    mask = cv2.min(parts.fill([ribbon(path, 0.06)], cell.pose), cell.nucleus)
    paint(absorbance, mask, VIOLET)
