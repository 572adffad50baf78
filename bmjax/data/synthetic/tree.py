"""Synthetic bone-marrow cells: 21 types with the release's long tail and folders.

For demonstrations, tests and timings where the release itself is not at hand. The
cells look like stained bone marrow and are told apart by shape and texture, as the
real ones are, not by their mean color. Nothing here is a substitute for real cells:
a figure measured on synthetic cells says nothing about patients.

The same on every machine, for the same number of images and seed: classes, counts,
names, sizes of the files in bytes, and with these the set's fingerprint and its splits.
Not the same: a picture's pixels in their last bit and so the files' bytes, since the
drawing uses floating-point numbers, for which NumPy and OpenCV take whatever
instructions the processor has. On one machine all of it is the same.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, Philox

from bmjax.console.worker_process import end_with_parent
from bmjax.data import matek as labels
from bmjax.data.synthetic.scene import draw_scene
from bmjax.errors import ConfigError, DataError
from bmjax.files import writing

ROOT = "BM_cytomorphology_data"  # the release's own name for its top folder
LEAST = 10  # images in the smallest class: enough for five folds of two
_FOLDER = 1000  # images in one folder of a large class
_CHUNK = 32  # images that a worker takes at a time
_ALONE = 128  # so few images are drawn before a second process has started
_QUALITY = 95
# Bytes of every file. How well a picture is compressed depends on its last bits, and so
# on the processor; 2,100 pictures take 12,000 to 34,000 bytes.
_FILE_BYTES = 40_960


def class_counts(images: int) -> dict[str, int]:
    """How many images of each class make up a set of `images`, in the classes' order.

    In proportion to the release, but no class has fewer than LEAST; the larger classes
    share what remains, rounded by largest remainder. A class that is larger in the
    release is never the smaller one here.

    Raises:
        ConfigError: `images` is too small for LEAST images a class.
    """
    release = {cell.abbreviation: cell.images for cell in labels.CLASSES}
    if images < LEAST * len(release):
        raise ConfigError(
            f"images = {images} is too few for {LEAST} in each of {len(release)} "
            f"classes; ask for {LEAST * len(release)} or more"
        )
    large, rest = dict(release), images
    while small := [name for name in large if _share(large, rest, name) < LEAST]:
        rest -= LEAST * len(small)
        large = {name: size for name, size in large.items() if name not in small}
    counts = {name: rest * size // sum(large.values()) for name, size in large.items()}
    by_remainder = sorted(
        large, key=lambda name: counts[name] - _share(large, rest, name)
    )
    for name in by_remainder[: rest - sum(counts.values())]:
        counts[name] += 1
    return {name: counts.get(name, LEAST) for name in release}


def _share(sizes: dict[str, int], images: int, name: str) -> float:
    return images * sizes[name] / sum(sizes.values())


def image_path(abbreviation: str, number: int, count: int) -> Path:
    """Where the release keeps image `number` (from 1) of a class of `count` images.

    Classes of up to 1000 images lie flat, as `ABE/ABE_00001.jpg`; larger ones in
    folders of 1000, the last of which ends at the count: `NGS/1001-1200/NGS_01001.jpg`.
    """
    name = f"{abbreviation}_{number:05d}.jpg"
    if count <= _FOLDER:
        return Path(abbreviation, name)
    first = (number - 1) // _FOLDER * _FOLDER + 1
    last = min(first + _FOLDER - 1, count)
    return Path(abbreviation, f"{first:04d}-{last:04d}", name)


def generator(seed: int, abbreviation: str, number: int) -> Generator:
    """The random numbers of one image, the same in any order and any process."""
    # Philox takes two words of 64 bits as its key: the seed, and class with number.
    label = int.from_bytes(abbreviation.encode(), "big")
    return Generator(Philox(key=np.array([seed, (label << 32) | number], np.uint64)))


def draw_cell(abbreviation: str, rng: Generator) -> np.ndarray:
    """One picture of a cell of this class: uint8 [250, 250, 3], RGB.

    Raises:
        ConfigError: the class is none of `labels.CLASSES`.
    """
    known = [cell.abbreviation for cell in labels.CLASSES]
    if abbreviation not in known:
        raise ConfigError(
            f"class {abbreviation!r} is unknown; take one of {', '.join(known)}"
        )
    return draw_scene(abbreviation, rng)


def synthesize(
    out: str | Path,
    *,
    images: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> Path:
    """Write a synthetic set of `images` JPEG files below `out` and return its root.

    The files lie in `out/BM_cytomorphology_data` as in the release. They are drawn in a
    hidden folder beside `out` and renamed when the last is written, so a set is there
    whole or not at all. Each is a function of seed, class and number alone, whatever
    the number of workers. `progress` is called with the images done and the total.
    `workers` is the number of processes, by default one a core. They are started
    afresh, never forked, so it does not matter which threads the caller runs; as with
    any such pool, a script that calls this stands under `if __name__ == "__main__":`.

    Raises:
        ConfigError: `images` is too small, `seed` or `workers` out of range; or the
            disk is full, or `out` may not be written.
        DataError: `out` exists and is not an empty folder.
    """
    out = Path(out).absolute()
    counts = class_counts(images)
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed = {seed} is out of range; take 0 to 2**64 - 1")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers = {workers} is out of range; take 1 or more")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f"out = {str(out)!r} exists and is not an empty folder; name a new one or "
            "remove it"
        )
    with writing("out", out):
        return _synthesize(out, counts, seed, progress, workers)


def _synthesize(
    out: Path,
    counts: dict[str, int],
    seed: int,
    progress: Callable[[int, int], None] | None,
    workers: int | None,
) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as hidden:
        # One level down, since a temporary folder is closed to other users.
        partial = Path(hidden, "partial")
        _write(partial, counts, seed, progress, workers)
        out.mkdir(exist_ok=True)
        return partial.rename(out / ROOT)


def _write(
    root: Path,
    counts: dict[str, int],
    seed: int,
    progress: Callable[[int, int], None] | None,
    workers: int | None,
) -> None:
    """Draw all images below `root`, here or in worker processes."""
    items = [
        (name, number, root / image_path(name, number, count))
        for name, count in counts.items()
        for number in range(1, count + 1)
    ]
    for folder in sorted({path.parent for _, _, path in items}):
        folder.mkdir(parents=True)
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    processes = workers or (_cores() if len(items) > _ALONE else 1)
    done = 0
    if processes == 1:
        for chunk in chunks:
            done += _write_chunk(seed, chunk)
            if progress:
                progress(done, len(items))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_worker) as pool:
        try:
            for written in pool.map(_write_chunk, [seed] * len(chunks), chunks):
                done += written
                if progress:
                    progress(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else it would draw all that is queued
            raise


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin_worker() -> None:
    """Each process has its own core; OpenCV's threads would only crowd it."""
    end_with_parent()
    cv2.setNumThreads(1)


def _write_chunk(seed: int, items: list[tuple[str, int, Path]]) -> int:
    """Draw and write images (class, number, path); how many."""
    for name, number, path in items:
        pixels = draw_cell(name, generator(seed, name, number))
        blue_first = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        path.write_bytes(_filled_up(data.tobytes()))
    return len(items)


def _filled_up(jpeg: bytes) -> bytes:
    """The same JPEG with a comment of zeros that makes it _FILE_BYTES long.

    The comment stands behind the first segment, which JFIF wants at the beginning.
    """
    room = _FILE_BYTES - len(jpeg)
    if room < 4:  # marker and length
        return jpeg
    place = 4 + int.from_bytes(jpeg[4:6], "big")
    comment = b"\xff\xfe" + (room - 2).to_bytes(2, "big") + bytes(room - 4)
    return jpeg[:place] + comment + jpeg[place:]
