"""saliency.npz of a run: for some images, where the network looks."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.errors import DataError
from bmjax.files import whole_file
from bmjax.npz_file import read_npz

SALIENCY_FILE = "saliency.npz"  # in a run's workdir


class SaliencyMaps(NamedTuple):
    """Maps by image.

    Attributes:
        kind: "attention" or "class activation".
        maps: float32 [rows, columns] by path; a map covers the whole image.
    """

    kind: str
    maps: dict[str, np.ndarray]


def write_saliency(
    path: Path, paths: Sequence[str], maps: np.ndarray, kind: str
) -> None:
    """Write maps, float32 [n, rows, columns], of n images."""
    with whole_file(path) as file:
        np.savez(file, paths=np.array(paths), maps=maps, kind=np.array(kind))


def read_saliency(path: Path) -> SaliencyMaps:
    """Read what `write_saliency` wrote.

    Raises:
        DataError: the file is damaged.
    """
    try:
        arrays = read_npz(path, ("paths", "maps", "kind"))
        paths, maps = arrays["paths"].tolist(), arrays["maps"]
        kind = str(arrays["kind"])
        found = SaliencyMaps(kind, dict(zip(paths, maps, strict=True)))
        if maps.ndim != 3:
            raise ValueError(f"maps of shape {maps.shape}")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"expected maps of images in {path}, but it is damaged ({error}): delete "
            "it, and the page is made without"
        ) from None
    return found


def heat(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Lay a map over an image: dark violet where it is least, yellow where most.

    What is below zero, which speaks against the class, is shown as zero.

    Args:
        pixels: uint8 [S, S, 3], RGB.
        values: float [rows, columns], covering the whole image.

    Returns:
        uint8 [S, S, 3], RGB.
    """
    import cv2

    positive = np.maximum(np.asarray(values, np.float32), 0)
    shares = positive / max(float(positive.max()), np.finfo(np.float32).tiny)
    size = pixels.shape[1], pixels.shape[0]
    whole = np.clip(cv2.resize(shares, size, interpolation=cv2.INTER_LINEAR), 0, 1)
    colors = cv2.applyColorMap((255 * whole).astype(np.uint8), cv2.COLORMAP_PLASMA)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None]
    mixed = 0.5 * gray + 0.5 * colors[:, :, ::-1]
    return mixed.round().astype(np.uint8)
