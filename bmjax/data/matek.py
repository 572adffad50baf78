"""The 21 classes of the release: abbreviation, name, number of images.

Source: Table 1 of the paper (Matek et al. 2021), in the order of its Tables 2 to 4,
which is the order of the sorted folder names. Only what is shown and what is made up
(names in reports, the long tail of synthetic cells) comes from here: which classes a
run learns, and how many, its data folder says.
"""

from typing import NamedTuple


class CellClass(NamedTuple):
    """One class of the release."""

    abbreviation: str
    name: str
    images: int  # in the whole release


CLASSES = (
    CellClass("ABE", "Abnormal eosinophils", 8),
    CellClass("ART", "Artefacts", 19630),
    CellClass("BAS", "Basophils", 441),
    CellClass("BLA", "Blasts", 11973),
    CellClass("EBO", "Erythroblasts", 27395),
    CellClass("EOS", "Eosinophils", 5883),
    CellClass("FGC", "Faggot cells", 47),
    CellClass("HAC", "Hairy cells", 409),
    CellClass("KSC", "Smudge cells", 42),
    CellClass("LYI", "Immature lymphocytes", 65),
    CellClass("LYT", "Lymphocytes", 26242),
    CellClass("MMZ", "Metamyelocytes", 3055),
    CellClass("MON", "Monocytes", 4040),
    CellClass("MYB", "Myelocytes", 6557),
    CellClass("NGB", "Band neutrophils", 9968),
    CellClass("NGS", "Segmented neutrophils", 29424),
    CellClass("NIF", "Not identifiable", 3538),
    CellClass("OTH", "Other cells", 294),
    CellClass("PEB", "Proerythroblasts", 2740),
    CellClass("PLM", "Plasma cells", 7629),
    CellClass("PMO", "Promyelocytes", 11994),
)

RARE = 20  # test images; with fewer, a class's own figures say little (see DESIGN.md)

_NAMES = {cell.abbreviation: cell.name for cell in CLASSES}


def class_name(abbreviation: str) -> str:
    """The release's full name of a class, or the folder's own name for any other."""
    return _NAMES.get(abbreviation, abbreviation)
