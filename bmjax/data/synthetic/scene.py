"""A whole picture: the smear around the cell, the cell itself, and the camera."""

import cv2
import numpy as np
from numpy.random import Generator

from bmjax.data.synthetic import parts as parts
from bmjax.data.synthetic.cells import LOOKS, paint_cell
from bmjax.data.synthetic.parts import (
    FRAME,
    Pose,
    line,
    outline,
    paint,
    paint_mottled,
    ribbon,
    stain,
)

# What the light looks like where nothing is stained: near white, cool, gray-green.
_LIGHTS = np.array([[0.93, 0.91, 0.97], [0.86, 0.87, 0.97], [0.80, 0.82, 0.80]])
# Mean of each channel over the release; an automatic exposure holds to it.
_RELEASE_MEAN = np.array([0.563, 0.496, 0.735])
_MIDDLE = (FRAME - 1) / 2
# Cells that may stand at the border, whatever the class of the one in the middle.
_NEIGHBORS = ("BLA", "EBO", "LYT", "MYB", "NGS", "PEB", "PMO")


def draw_scene(abbreviation: str, rng: Generator) -> np.ndarray:
    """One picture of a cell of this class in its surroundings: uint8 [250, 250, 3]."""
    zoom = np.exp(rng.normal(0, 0.07))
    absorbance = _smear(rng, zoom)
    focus = rng.uniform(0.5, 1.2)
    match abbreviation:
        case "ART":
            _artefact(rng, absorbance)
        case "KSC":
            _smudge(rng, absorbance, _pose(rng, 70 * zoom))
        case "NIF":  # any cell, too far out of focus to tell
            focus = rng.uniform(4.0, 6.0)
            look = LOOKS[rng.choice(sorted(LOOKS))]
            paint_cell(rng, absorbance, look, _pose(rng, look.radius * zoom))
        case _:
            look = LOOKS[abbreviation]
            paint_cell(rng, absorbance, look, _pose(rng, look.radius * zoom))
    return _photograph(rng, absorbance, focus)


def _pose(rng: Generator, radius: float) -> Pose:
    """About the middle, at any angle."""
    x, y = _MIDDLE + rng.normal(0, 6, 2)
    size = radius * np.exp(rng.normal(0, 0.05))
    return Pose(x, y, size, rng.uniform(0, 2 * np.pi))


def _smear(rng: Generator, zoom: float) -> np.ndarray:
    """Protein haze, red cells, and nucleated neighbors that the border cuts."""
    haze = stain(*rng.uniform(0.80, 1.0, 3)) * np.float32(rng.uniform(0, 1))
    absorbance = parts.texture(rng, 60.0, (FRAME, FRAME)).clip(0, 1) * haze
    red_cells = [
        Pose(x, y, 34 * zoom * rng.uniform(0.85, 1.1), rng.uniform(0, 2 * np.pi))
        for x, y in rng.uniform(-20, FRAME + 20, (int(rng.integers(2, 13)), 2))
    ]
    parts.add_red_cells(rng, absorbance, red_cells)
    for _ in range(int(rng.integers(0, 5))):
        look = LOOKS[rng.choice(_NEIGHBORS)]
        radius = look.radius * zoom
        # Far enough out to leave the middle to the cell that the picture is about.
        angle = rng.uniform(0, 2 * np.pi)
        reach = 80 + radius * rng.uniform(0.75, 1.0)
        toward = np.array([np.cos(angle), np.sin(angle)])
        x, y = _MIDDLE + reach * toward / np.abs(toward).max()
        pose = Pose(x, y, radius, rng.uniform(0, 2 * np.pi))
        paint_cell(rng, absorbance, look, pose)
    return absorbance


def _smudge(rng: Generator, absorbance: np.ndarray, pose: Pose) -> None:
    """A burst nucleus without cytoplasm, drawn out into strands."""
    strands = []
    for angle in rng.normal(0, 0.5, 16) + np.pi * rng.integers(0, 2, 16):
        toward = np.array([np.cos(angle), np.sin(angle)])
        side = rng.normal(0, 0.25) * np.array([-toward[1], toward[0]])
        stop = rng.uniform(0.9, 1.5) * toward + side
        strands.append(ribbon(line(side, stop, 12), 0.28, taper=0.8))
    core = outline(rng, 0.72, wobble=0.16, oval=0.8)
    mask = cv2.GaussianBlur(parts.fill([core, *strands], pose), (0, 0), 2.5)
    purple, pale = stain(0.46, 0.20, 0.62), stain(0.74, 0.52, 0.84)
    paint_mottled(rng, absorbance, mask, (purple, pale), scale=14.0)


def _artefact(rng: Generator, absorbance: np.ndarray) -> None:
    """Precipitated stain: a blot out of focus, at times a fiber, heaps of grains."""
    blot = cv2.GaussianBlur(_patch(rng, spread=45.0, low=20.0, high=50.0), (0, 0), 8)
    paint(absorbance, blot, stain(0.35, 0.22, 0.55), opacity=0.8)
    if rng.random() < 0.5:
        path = np.cumsum(rng.normal(0, 9, (14, 2)) + rng.normal(0, 12, 2), axis=0)
        path = cv2.blur(path - path.mean(0), (1, 5))
        fiber = parts.fill([ribbon(path, 5.0)], Pose(_MIDDLE, _MIDDLE, 1.0, 0.0))
        paint(absorbance, fiber, stain(0.25, 0.22, 0.42))
    heap = _patch(rng, spread=35.0, low=25.0, high=50.0)
    for _ in range(int(rng.integers(1, 4))):
        heap = cv2.max(heap, _patch(rng, spread=35.0, low=25.0, high=50.0))
    grains = parts.dots(rng, heap, int(rng.integers(120, 260)), 1.0, 4.0)
    stray = parts.dots(rng, np.full_like(heap, 255), 40, 0.8, 2.2)
    paint(absorbance, cv2.max(grains, stray), stain(0.13, 0.04, 0.24))


def _patch(rng: Generator, *, spread: float, low: float, high: float) -> np.ndarray:
    """The mask of an uneven patch, `low` to `high` pixels in radius."""
    x, y = _MIDDLE + rng.normal(0, spread, 2)
    pose = Pose(x, y, rng.uniform(low, high), rng.uniform(0, 2 * np.pi))
    return parts.fill([outline(rng, 1.0, wobble=0.2)], pose)


def _photograph(rng: Generator, absorbance: np.ndarray, focus: float) -> np.ndarray:
    """Light through the slide, exposure, lens, sensor -> uint8 [FRAME, FRAME, 3].

    `focus` is the lens's blur in pixels. Stain strength, tint, light and exposure
    differ from picture to picture by more than the classes do, so that colors alone
    do not tell a cell.
    """
    strength = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.12, 3))
    light = np.log(rng.dirichlet([0.6] * len(_LIGHTS)) @ _LIGHTS)
    slope = rng.normal(0, 0.05, 2).astype(np.float32)
    ramp = np.linspace(-1, 1, FRAME, dtype=np.float32)
    shade = absorbance * _planes(-strength)  # logarithms of brightness
    shade += _planes(light) + (slope[0] * ramp[:, None] + slope[1] * ramp)
    shade *= _planes(_gamma(rng, shade))
    exposed = cv2.exp(shade.reshape(-1, FRAME))
    pixels = cv2.convertScaleAbs(exposed, alpha=255).reshape(3, FRAME, FRAME)
    pixels = cv2.GaussianBlur(cv2.merge(list(pixels)), (0, 0), focus)
    noise = rng.standard_normal((FRAME, FRAME), np.float32) * rng.uniform(1, 4)
    noise = cv2.merge([np.rint(noise).astype(np.int16)] * 3)
    return cv2.add(pixels, noise, dtype=cv2.CV_8U)


def _planes(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).reshape(3, 1, 1)


def _gamma(rng: Generator, shade: np.ndarray) -> np.ndarray:
    """The exponents [3] that pull each channel's mean to about the release's."""
    mean = np.exp(shade[:, ::4, ::4]).mean((1, 2))
    drift = rng.normal(0, 0.18) + rng.normal(0, 0.06, 3)
    wanted = np.clip(_RELEASE_MEAN * np.exp(drift), 0.1, 0.9)
    return np.clip(np.log(wanted) / np.log(mean), 0.5, 2.5)
