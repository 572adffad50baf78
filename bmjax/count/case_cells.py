"""The cells of a case as a run names them."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bmjax.data.open_images import OpenedImages
from bmjax.encoder import Encoder
from bmjax.errors import DataError
from bmjax.evals.calibration_file import Calibration, calibrated
from bmjax.evals.detector_file import FOREIGN, Detector, distances
from bmjax.report.pictures import data_uri

_SIDE = 72  # pixels of a picture on the page; ours
MOST_ON_PAGES = 20_000  # cells, 50 MB of pictures; more have no page to review; ours


class CaseCells(NamedTuple):
    """What the run says of each cell that can be read.

    Attributes:
        paths: n of them, below the case's folder.
        smears: of each cell, the first folder of its path; "" where there is none.
        probabilities: float32 [n, N], calibrated.
        predicted: int [n].
        distance: float [n], 0 to 100; None where the run has no detector.
        pictures: data URIs; () where there are too many images for a page.
        digest: of the case, from the paths and the files: other cells of the same
            names are another case.
        failed: images that could not be read.
        copies: cells whose file is that of an earlier one, byte for byte.
    """

    paths: tuple[str, ...]
    smears: tuple[str, ...]
    probabilities: np.ndarray
    predicted: np.ndarray
    distance: np.ndarray | None
    pictures: tuple[str, ...]
    digest: str
    failed: int
    copies: int = 0

    @property
    def foreign(self) -> np.ndarray:
        """Whether a cell is unlike those that the run knows, bool [n]."""
        if self.distance is None:
            return np.zeros(len(self.paths), bool)
        return ~(self.distance <= FOREIGN)  # no number is not near


def read_cells(
    images: OpenedImages,
    encoder: Encoder,
    calibration: Calibration,
    detector: Detector | None,
    *,
    complain: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> CaseCells:
    """Name the cells of a case, a batch in memory at a time.

    Raises:
        DataError: not one image can be read.
    """
    import cv2

    paths: list[str] = []
    rows: list[np.ndarray] = []
    far: list[np.ndarray] = []
    pictures: list[str] = []
    failed = 0
    images, contents = _with_digests(images)
    files: list[bytes] = []
    shown = len(images.paths) <= MOST_ON_PAGES
    for batch, outputs in encoder.apply(images, complain=complain, progress=progress):
        failed += len(batch.failed)
        count = len(batch.positions)
        if not count:
            continue
        paths += [images.paths[position] for position in batch.positions]
        files += [contents[position] for position in batch.positions]
        found = calibrated(encoder.probabilities(outputs)[:count], calibration)
        rows.append(found)
        if detector is not None:
            far.append(distances(detector, outputs["features"][:count]))
        for pixels in batch.pixels[:count] if shown else ():
            small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            pictures.append(data_uri(small))
    if not paths:
        raise DataError(
            f"not one of {failed:,} image(s) of the case can be read; nothing was "
            "written"
        )
    probabilities = np.concatenate(rows)
    return CaseCells(
        paths=tuple(paths),
        smears=tuple(p.partition("/")[0] if "/" in p else "" for p in paths),
        probabilities=probabilities,
        predicted=probabilities.argmax(axis=1),
        distance=np.concatenate(far) if far else None,
        pictures=tuple(pictures),
        digest=_case_digest(paths, files),
        failed=failed,
        copies=len(files) - len(set(files)),
    )


def _with_digests(images: OpenedImages) -> tuple[OpenedImages, dict[int, bytes]]:
    """The images, and the digest of each file by position, once it has been read."""
    digests: dict[int, bytes] = {}

    def encoded(position: int) -> np.ndarray:
        content = images.encoded(position)
        digests[position] = hashlib.sha256(content.tobytes()).digest()
        return content

    return images._replace(encoded=encoded), digests


def _case_digest(paths: Sequence[str], files: Sequence[bytes]) -> str:
    """Of paths and the digests of files; with a name, or a spreadsheet rounds some."""
    hashed = hashlib.sha256()
    for path, file in sorted(zip(paths, files, strict=True)):
        hashed.update(path.encode(errors="surrogateescape") + b"\0" + file)
    return f"case-{hashed.hexdigest()[:16]}"


def expected_gains(
    probabilities: np.ndarray, predicted: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """How much a second look at each cell is expected to change the count, float [n].

    With the probability p_c that a cell is of class c it moves there, and both classes'
    counts change by one. Each change is told in units of the count's own error, the
    root of the count: one cell matters more to a rare class (ours).

    Args:
        probabilities: float [n, N], calibrated.
        predicted: int [n].
        counts: int [N], cells that were named each class.
    """
    weight = 1 / np.sqrt(counts + 1.0)
    moved = probabilities.astype(float).copy()
    moved[np.arange(len(predicted)), predicted] = 0
    return moved.sum(axis=1) * weight[predicted] + moved @ weight
