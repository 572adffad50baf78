"""The outlines of nuclei and bodies, as polygons in units of the cell's radius."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from bmjax.data.synthetic.parts import Polygons, arc, line, outline, ribbon

# Nuclei


def round_nucleus(
    rng: Generator, radius: float, shift: float = 0.0, wobble: float = 0.03
) -> Polygons:
    """A round nucleus, `shift` away from the cell's center."""
    oval = rng.uniform(0.93, 1.07)
    return [outline(rng, radius, (-shift, 0.0), wobble=wobble, oval=oval)]


def kidney(rng: Generator) -> Polygons:
    """A bean, dented by a third to a half of its width."""
    depth = rng.uniform(0.42, 0.58)
    return [outline(rng, 0.66, (-0.18, 0.0), oval=1.15, notch=depth, notch_width=0.55)]


def folded(rng: Generator) -> Polygons:
    """A large uneven nucleus with one deep narrow cleft."""
    depth = rng.uniform(0.5, 0.75)
    return [
        outline(
            rng, 0.68, (-0.1, 0.0), wobble=0.11, oval=1.1, notch=depth, notch_width=0.3
        )
    ]


def band(rng: Generator) -> Polygons:
    """One horseshoe of even width."""
    half = rng.uniform(1.75, 2.35)
    path = arc(0.5, np.pi - half, np.pi + half) * (1, rng.uniform(0.9, 1.15))
    return [ribbon(path, rng.uniform(0.30, 0.37))]


def lobes(rng: Generator, count: int, size: float) -> Polygons:
    """Lobes on a bent chain, joined by threads."""
    sweep = min(0.9 + 0.95 * (count - 1), 4.6) * rng.uniform(0.92, 1.08)
    reach = 0.5 if count > 2 else 0.45
    angles = np.pi + np.linspace(-sweep / 2, sweep / 2, count)
    reaches = reach * rng.uniform(0.85, 1.15, (count, 1))
    centers = reaches * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    parts = [
        outline(rng, size * rng.uniform(0.88, 1.15), tuple(center), wobble=0.07)
        for center in centers
    ]
    threads = [ribbon(line(a, b), 0.09) for a, b in pairwise(centers)]
    return parts + threads


def segments(rng: Generator) -> Polygons:
    """Three to five small lobes on threads."""
    count = int(rng.integers(3, 6))
    return lobes(rng, count, 0.31 - 0.022 * count)


def chromosomes(rng: Generator) -> Polygons:
    """A cell in division: one plate, or two that move apart."""
    plates = []
    for x in [0.0] if rng.random() < 0.5 else [-0.32, 0.32]:
        plate = ribbon(line(np.array([x, -0.6]), np.array([x, 0.6]), 28), 0.26)
        plates.append(plate + rng.normal(0, 0.035, plate.shape))
    return plates


# Bodies


def rounded(rng: Generator, wobble: float = 0.03) -> Polygons:
    """A round body, the less so the larger `wobble` is."""
    return [outline(rng, 1.0, wobble=wobble)]


def oval(rng: Generator) -> Polygons:
    """An egg, as plasma cells are."""
    return [outline(rng, 1.0, wobble=0.04, oval=rng.uniform(0.80, 0.88))]


def hairy(rng: Generator) -> Polygons:
    """Fine hairs all around the rim."""
    hairs = []
    for angle in np.arange(0, 2 * np.pi, 2 * np.pi / 30) + rng.normal(0, 0.05, 30):
        root, lean = 0.9, rng.normal(0, 0.16)
        tip = root + rng.uniform(0.3, 0.55)
        start = root * np.array([np.cos(angle), np.sin(angle)])
        stop = tip * np.array([np.cos(angle + lean), np.sin(angle + lean)])
        hairs.append(ribbon(line(start, stop), 0.1, taper=0.7))
    return [outline(rng, 1.0, wobble=0.05), *hairs]


def hand_mirror(rng: Generator) -> Polygons:
    """A body with a handle, as lymphoblasts on the move have."""
    bend = rng.normal(0, 0.25)
    path = np.array([[0.4, 0.0], [1.0, 0.0], [1.5, bend / 2], [1.95, bend]])
    return [outline(rng, 1.0), ribbon(cv2.resize(path, (2, 16)), 0.62, taper=0.35)]


def eared(rng: Generator) -> Polygons:
    """Blunt blebs on the rim."""
    angles = rng.uniform(0, 2 * np.pi, 3)
    ears = [
        outline(rng, 0.25, (0.92 * np.cos(angle), 0.92 * np.sin(angle)))
        for angle in angles
    ]
    return [outline(rng, 1.0, wobble=0.04), *ears]
