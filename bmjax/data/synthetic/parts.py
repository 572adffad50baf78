"""What synthetic cells are painted with: outlines, textures, stain, a microscope.

A picture is built as absorbance, float32 [3, FRAME, FRAME], zero where the light passes
freely; overlapping things add up as dyes do, and `photograph` turns the sum into
uint8 pixels. Shapes are polygons float [points, 2] in units of the cell's radius, with
the cell's center at 0, 0; a `Pose` carries them into the frame.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

FRAME = 250  # side of a picture in pixels, as in the release
_SUBPIXELS = 4  # binary digits: OpenCV draws at a sixteenth of a pixel

Polygons = Sequence[np.ndarray]


class Pose(NamedTuple):
    """Where a cell lies in the frame: center and radius in pixels, angle in radians."""

    x: float
    y: float
    radius: float
    angle: float

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points [n, 2] in cell units -> frame pixels."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = points @ np.array([[cos, sin], [-sin, cos]])
        return turned * self.radius + (self.x, self.y)


def stain(red: float, green: float, blue: float) -> np.ndarray:
    """The absorbance [3, 1, 1] that shows as this color (0 to 1) in a white light."""
    return -np.log(np.array([red, green, blue], np.float32)).reshape(3, 1, 1)


# Shapes

_ANGLES = np.linspace(-np.pi, np.pi, 72, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_WAVES = np.arange(2, 7)  # wave 1 would only shift the outline


def outline(
    rng: Generator,
    radius: float,
    center: tuple[float, float] = (0.0, 0.0),
    *,
    wobble: float = 0.03,
    oval: float = 1.0,
    notch: float = 0.0,
    notch_width: float = 0.5,
) -> np.ndarray:
    """A closed, softly uneven curve; `notch` dents its +x side by that share."""
    phases = rng.uniform(0, 2 * np.pi, len(_WAVES))
    heights = rng.normal(0, wobble, len(_WAVES)) * 2 / _WAVES
    radii = 1 + heights @ np.cos(_WAVES[:, None] * _ANGLES + phases[:, None])
    if notch:
        radii *= 1 - notch * np.exp(-((_ANGLES / notch_width) ** 2))
    return _CIRCLE * (radius * radii[:, None]) * (1 / oval, oval) + center


def ribbon(path: np.ndarray, width: float, *, taper: float = 0.0) -> np.ndarray:
    """A band of this full width along `path` [n, 2], round at both ends.

    `taper` 1 lets it run out to a point at its end, as a hair does.
    """
    along = np.linspace(0, 1, len(path))
    from_end = np.minimum(along, 1 - along) * len(path) / 3
    half = width / 2 * np.sqrt(np.clip(from_end + 0.05, 0, 1)) * (1 - taper * along)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    normal = tangent[:, ::-1] * (-1, 1) * half[:, None]
    return np.concatenate([path + normal, (path - normal)[::-1]])


def arc(radius: float, start: float, stop: float, points: int = 24) -> np.ndarray:
    """A piece of a circle around 0, 0, angles in radians: [points, 2]."""
    angles = np.linspace(start, stop, points)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def line(start: np.ndarray, stop: np.ndarray, points: int = 8) -> np.ndarray:
    """A straight path [points, 2]."""
    return np.linspace(start, stop, points)


# Masks


def fill(polygons: Polygons, pose: Pose) -> np.ndarray:
    """The union of polygons as a mask, uint8 [FRAME, FRAME], with soft edges."""
    mask = np.zeros((FRAME, FRAME), np.uint8)
    for polygon in polygons:
        points = np.rint(pose.place(polygon) * 2**_SUBPIXELS).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, _SUBPIXELS)
    return mask


def dots(
    rng: Generator, where: np.ndarray, count: int, low: float, high: float
) -> np.ndarray:
    """A mask of round grains, `low` to `high` pixels in radius, inside `where`."""
    mask = np.zeros_like(where)
    inside = np.flatnonzero(where > 127)
    if not len(inside):
        return mask
    rows, columns = np.divmod(rng.choice(inside, count), FRAME)
    radii = rng.uniform(low, high, count)
    scale = 2**_SUBPIXELS
    circles = np.stack([columns, rows, radii], axis=1) * scale
    for x, y, radius in np.rint(circles).astype(int).tolist():
        cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA, _SUBPIXELS)
    return mask


def texture(rng: Generator, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """Smooth noise of 0 to 1, float32 of this shape, with blobs of `scale` pixels."""
    rows, columns = (max(2, round(length / scale)) for length in shape)
    coarse = rng.standard_normal((rows, columns), np.float32) * 0.35 + 0.5
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


# Paint


def paint(
    absorbance: np.ndarray, mask: np.ndarray, color: np.ndarray, *, opacity: float = 1.0
) -> None:
    """Cover what lies under the mask with a stain [3, 1, 1], in place."""
    _cover(absorbance, mask, _box(mask), color, opacity)


def paint_mottled(
    rng: Generator,
    absorbance: np.ndarray,
    mask: np.ndarray,
    colors: tuple[np.ndarray, np.ndarray],
    *,
    scale: float,
    bias: float = 0.0,
    contrast: float = 1.0,
) -> None:
    """Cover what lies under the mask with two stains that mix, in place.

    Blobs of `scale` pixels give chromatin and cytoplasm their texture; `bias` shifts
    the mixture to the second stain, `contrast` sharpens the borders between the two.
    """
    box = _box(mask)
    if mask[box].size == 0:
        return
    mix = (texture(rng, scale, mask[box].shape) - 0.5 + bias) * contrast + 0.5
    first, second = colors
    color = np.clip(mix, 0, 1).astype(np.float32) * (second - first) + first
    _cover(absorbance, mask, box, color, 1.0)


def _cover(
    absorbance: np.ndarray,
    mask: np.ndarray,
    box: tuple[slice, slice],
    color: np.ndarray,
    opacity: float,
) -> None:
    view = absorbance[:, *box]
    view += (mask[box] * np.float32(opacity / 255)) * (color - view)


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold all of a mask: painting elsewhere is idle."""
    x, y, width, height = cv2.boundingRect(mask)
    return slice(y, y + height), slice(x, x + width)


def _red_cell_profile() -> np.ndarray:
    """Depth of a red cell seen from above, 1 at its rim: float32 [65, 65]."""
    ramp = np.linspace(-1.1, 1.1, 65, dtype=np.float32)
    reach = np.hypot(ramp, ramp[:, None])
    return 1 / (1 + np.exp((reach - 0.96) * 40)) - 0.55 * np.exp(-((reach / 0.5) ** 2))


_RED_CELL = _red_cell_profile()


def add_red_cells(rng: Generator, absorbance: np.ndarray, poses: list[Pose]) -> None:
    """Add red blood cells, paler in the middle; where they overlap it is darker."""
    depth = np.zeros((FRAME, FRAME), np.float32)
    corners = np.array([[-1, -1], [1, -1], [-1, 1]]) * (1.1, 1.1)
    source = np.array([[0, 0], [64, 0], [0, 64]], np.float32)
    for pose in poses:
        oval = (1, rng.uniform(0.85, 1))
        onto = pose.place(corners * oval).astype(np.float32)
        shift = cv2.getAffineTransform(source, onto)
        disc = cv2.warpAffine(_RED_CELL, shift, (FRAME, FRAME))
        depth += disc * np.float32(rng.uniform(0.7, 1.2))
    absorbance += depth * stain(0.78, 0.70, 0.74)
