"""The 21 cell types as recipes: which nucleus, which cytoplasm, which granules.

The types differ in shape and texture, as under the microscope; the words are those of
hematology. Two types are no whole cells, and one is any cell out of focus: those are
painted by the scene.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from bmjax.data.synthetic import composition
from bmjax.data.synthetic import parts as parts
from bmjax.data.synthetic import shapes as shapes
from bmjax.data.synthetic.composition import (
    AZURE,
    CHROMATIN,
    CLEFT,
    DEEP_BLUE,
    GRAY,
    GRAY_BLUE,
    ORANGE,
    PALE_BLUE,
    PINK,
    ROSE,
    VIOLET,
)
from bmjax.data.synthetic.parts import Polygons, Pose, paint, paint_mottled

PaintLayer = Callable[[Generator, np.ndarray, composition.CellShape], None]


class Look(NamedTuple):
    """A recipe; lengths of shapes are in units of the cell's radius."""

    radius: float  # pixels
    nucleus: Callable[[Generator], Polygons]
    cytoplasm: np.ndarray
    clumps: float = 6.0  # chromatin: size of its clumps in pixels
    density: float = 0.5  # chromatin: 0 open, 1 all dark
    body: Callable[[Generator], Polygons] = shapes.rounded
    below: tuple[PaintLayer, ...] = ()  # painted on the cytoplasm, below the nucleus
    above: tuple[PaintLayer, ...] = ()  # painted over both


_grains = composition.granules
_FINE = partial(_grains, color=AZURE, count=90, size=(0.6, 1.1), opacity=0.5)
_AZUROPHIL = partial(_grains, color=AZURE, count=130, size=(1.7, 2.8), everywhere=True)
_BASOPHIL = partial(_grains, color=VIOLET, count=85, size=(2.4, 4.6), everywhere=True)
_EOSINOPHIL = partial(_grains, color=ORANGE, count=330, size=(1.9, 2.9))
_ABNORMAL = partial(_grains, color=VIOLET, count=60, size=(3.2, 5.2))

_TWO_LOBES = partial(shapes.lobes, count=2, size=0.36)

LOOKS = {
    "ABE": Look(
        62.0,
        _TWO_LOBES,
        ROSE,
        below=(partial(_EOSINOPHIL, count=150), _ABNORMAL),
    ),
    "BAS": Look(
        56.0,
        partial(shapes.lobes, count=2, size=0.42),
        PINK,
        density=0.15,
        above=(_BASOPHIL,),
    ),
    "BLA": Look(
        66.0,
        partial(shapes.round_nucleus, radius=0.84, shift=0.06),
        PALE_BLUE,
        clumps=3.0,
        density=0.3,
        above=(partial(composition.nucleoli, least=2, most=4),),
    ),
    "EBO": Look(
        44.0,
        partial(shapes.round_nucleus, radius=0.56, shift=0.12),
        GRAY,
        clumps=9.0,
        density=1.2,
    ),
    "EOS": Look(
        63, partial(shapes.lobes, count=2, size=0.36), ROSE, below=(_EOSINOPHIL,)
    ),
    "FGC": Look(
        72.0,
        partial(shapes.round_nucleus, radius=0.55, shift=0.32, wobble=0.08),
        PINK,
        clumps=4.0,
        density=0.4,
        above=(composition.auer_rods,),
    ),
    "HAC": Look(
        52.0,
        partial(shapes.round_nucleus, radius=0.66, shift=0.12),
        GRAY_BLUE,
        density=0.4,
        body=shapes.hairy,
    ),
    "LYI": Look(
        50.0,
        partial(shapes.round_nucleus, radius=0.82),
        PALE_BLUE,
        clumps=4.0,
        density=0.35,
        body=shapes.hand_mirror,
        above=(partial(composition.nucleoli, least=1, most=1),),
    ),
    "LYT": Look(
        45.0,
        partial(shapes.round_nucleus, radius=0.86, shift=0.08),
        PALE_BLUE,
        clumps=10.0,
        density=0.7,
    ),
    "MMZ": Look(64.0, shapes.kidney, PINK, below=(_FINE,)),
    "MON": Look(
        74.0,
        shapes.folded,
        GRAY_BLUE,
        clumps=5.0,
        density=0.35,
        body=partial(shapes.rounded, wobble=0.09),
        below=(composition.vacuoles,),
        above=(composition.crease,),
    ),
    "MYB": Look(
        66.0,
        partial(shapes.round_nucleus, radius=0.56, shift=0.32),
        PINK,
        clumps=7.0,
        below=(_FINE,),
    ),
    "NGB": Look(62.0, shapes.band, PINK, density=0.7, below=(_FINE,)),
    "NGS": Look(62.0, shapes.segments, PINK, density=0.8, below=(_FINE,)),
    "OTH": Look(66.0, shapes.chromosomes, GRAY_BLUE, clumps=9.0, density=1.3),
    "PEB": Look(
        74.0,
        partial(shapes.round_nucleus, radius=0.66),
        DEEP_BLUE,
        clumps=3.0,
        density=0.6,
        body=shapes.eared,
        below=(partial(composition.halo, width=0.1),),
    ),
    "PLM": Look(
        64.0,
        partial(shapes.round_nucleus, radius=0.42, shift=0.40),
        DEEP_BLUE,
        density=0.1,
        body=shapes.oval,
        below=(composition.hof,),
        above=(composition.clock_face,),
    ),
    "PMO": Look(
        80.0,
        partial(shapes.round_nucleus, radius=0.68, shift=0.14),
        PALE_BLUE,
        clumps=4.0,
        density=0.35,
        above=(_AZUROPHIL,),
    ),
}


def paint_cell(rng: Generator, absorbance: np.ndarray, look: Look, pose: Pose) -> None:
    """Paint one cell from its recipe, in place."""
    body = parts.fill(look.body(rng), pose)
    nucleus = cv2.min(parts.fill(look.nucleus(rng), pose), body)
    cell = composition.CellShape(pose, body, nucleus)
    tones = look.cytoplasm, look.cytoplasm * np.float32(0.6)
    paint_mottled(rng, absorbance, body, tones, scale=8.0)
    for layer in look.below:
        layer(rng, absorbance, cell)
    paint_mottled(
        rng,
        absorbance,
        nucleus,
        (CHROMATIN, CLEFT),
        scale=look.clumps,
        bias=0.5 - look.density,
        contrast=2.5,
    )
    rim = cv2.subtract(nucleus, cv2.erode(nucleus, np.ones((3, 3), np.uint8)))
    paint(absorbance, rim, CHROMATIN, opacity=0.6)
    for layer in look.above:
        layer(rng, absorbance, cell)
