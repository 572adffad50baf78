"""How much two thumbnails agree once one is laid on the other."""

import cv2
import numpy as np

# A look at 16 grey pixels each way comes first: of copies cropped by up to 8 % none of
# 920 is below 0.91 there, of the candidates that are no copies 95 in 100 are.
_COARSE = 16
_WORTH_ALIGNING = 0.9
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
# Of two thumbnails of the same cell one may be cropped: it is tried at these sizes on
# the other, 32 pixels being all of it and 29 a crop of 9 %.
_SIZES = (32, 31, 30, 29)
# Below this no shift of a fraction of a pixel makes a copy of it (measured: copies
# reach 0.96, and the refined figure is at most 0.03 above this one near the threshold).
_WORTH_REFINING = 0.92

# Chosen from real cells: of 10.3 million pairs of different cells the highest is
# 0.960, of 5,000 altered copies 99.5 % are above 0.982 (see DESIGN.md).
SIMILAR = 0.975


def similarities(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`similarity` of many pairs, of most of which a coarse look says enough.

    Args:
        first: uint8 [m, 32, 32, 3], turned so as to fit the second.
        second: uint8 [m, 32, 32, 3].

    Returns:
        float64 [m]; where the coarse look sees no copy, its own correlation.
    """
    found = _coarse_look(first, second).astype(np.float64)
    for row in np.flatnonzero(found >= _WORTH_ALIGNING):
        found[row] = similarity(first[row], second[row])
    return found


def _coarse_look(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of small grey images, one of them whole or cropped by a pixel."""
    one, other = _coarse(first), _coarse(second)
    best = _correlation(one, other)
    shrink = _area_matrix(_COARSE - 1, _COARSE)
    for crop, whole in ((one, other), (other, one)):
        part = shrink @ crop @ shrink.T
        for y in (0, 1):
            for x in (0, 1):
                beside = whole[:, y : y + _COARSE - 1, x : x + _COARSE - 1]
                np.maximum(best, _correlation(part, beside), out=best)
    return best


def _coarse(thumbnails: np.ndarray) -> np.ndarray:
    """Grey area averages, float32 [m, 16, 16]."""
    ratio = thumbnails.shape[1] // _COARSE
    shape = (len(thumbnails), _COARSE, ratio, _COARSE, ratio, 3)
    return thumbnails.reshape(shape).mean(axis=(2, 4), dtype=np.float32) @ _GREY


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each pair of images, float32 [m]; 0 where one of them is flat."""
    first = first - first.mean(axis=(1, 2), keepdims=True)
    second = second - second.mean(axis=(1, 2), keepdims=True)
    both = np.einsum("mij,mij->m", first, second)
    size = np.einsum("mij,mij->m", first, first) * np.einsum(
        "mij,mij->m", second, second
    )
    return both / np.sqrt(np.maximum(size, 1.0))


def _area_matrix(small: int, large: int) -> np.ndarray:
    """Rows that average `large` pixels to `small` ones, float32 [small, large]."""
    edges = np.arange(small + 1)[:, None] * large / small
    covered = np.clip(edges - np.arange(large), 0, 1)
    return (np.diff(covered, axis=0) * small / large).astype(np.float32)


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Agreement of two thumbnails, 1 for a perfect copy.

    The place and size where one agrees best with the other is looked for on the pixel
    grid (normalized cross-correlation); there, the rest of shift and scale, and a gain
    for each color, are solved for by least squares, and what they do not explain is
    set against the image's own variance.

    Args:
        first: uint8 [32, 32, 3], turned so as to fit the second.
        second: uint8 [32, 32, 3].
    """
    best, part, whole = _on_grid(first, second)
    if best < _WORTH_REFINING:
        return best
    return _refined(part, whole)


def _on_grid(
    first: np.ndarray, second: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Correlation at the best place, and the two pieces that lie on one another."""
    first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
    best = (-1.0, first, second)
    # Whole on whole is the same both ways.
    for crop, whole, sizes in (
        (first, second, _SIZES),
        (second, first, _SIZES[1:]),
    ):
        for size in sizes:
            part = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
            found = cv2.matchTemplate(whole, part, cv2.TM_CCOEFF_NORMED)
            y, x = np.unravel_index(found.argmax(), found.shape)
            # A flat image has no correlation; OpenCV says 1 or infinity.
            value = float(found[y, x]) if part.std() > 1 else 0.0
            if best[0] < value <= 1.001:
                best = (value, part, whole[y : y + size, x : x + size])
    return best


def _refined(first: np.ndarray, second: np.ndarray) -> float:
    """1 - the variance that shift, scale and gains leave, by that of the two."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    between = (first + second) / 2
    down, right = np.gradient(between, axis=(0, 1))
    place = np.arange(len(first), dtype=np.float32) - (len(first) - 1) / 2
    larger = right * place[:, None] + down * place[:, None, None]
    gains = [between * color for color in np.eye(3, dtype=np.float32)]
    changes = np.stack([_inside(c) for c in (down, right, larger, *gains)], axis=1)
    difference = _inside(second - first)
    normal = changes.T @ changes
    normal += 1e-6 * np.trace(normal) * np.eye(len(normal), dtype=np.float32)
    solved = np.linalg.solve(normal, changes.T @ difference)
    left = np.sum((difference - changes @ solved) ** 2)
    return float(1 - left / (2 * np.sum(_inside(between) ** 2)))


def _inside(image: np.ndarray) -> np.ndarray:
    """Without the rim, where gradients are one-sided, and without each color's mean."""
    return (image - image.mean(axis=(0, 1)))[1:-1, 1:-1].ravel()
