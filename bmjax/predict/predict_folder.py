"""A folder's images through an encoder into a CSV, a batch at a time.

Many images are written in parts of PART_IMAGES images: each part is a whole file in
OUT.partial, so that a command that was killed goes on with what is left, and several
commands, on machines that share the folder, share the parts.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from bmjax.data.open_images import OpenedImages
from bmjax.encoder import Encoder
from bmjax.errors import DataError
from bmjax.evals.detector_file import FOREIGN
from bmjax.evals.predictions import PredictionsWriter
from bmjax.files import whole_file
from bmjax.parts.shared_parts import (
    PART_IMAGES,
    WorkPart,
    made_parts,
    paths_digest,
    split_work,
)
from bmjax.predict.cell_columns import CellColumns
from bmjax.predict.least_sure import LeastSure


class Predicted(NamedTuple):
    """What came out.

    Attributes:
        classes: how many images were predicted as each class.
        labeled: how many lie in a folder of a class's name.
        correct: how many of these were predicted as it.
        sizes: how many images came in each size, (width, height).
        failed: how many could not be read.
        foreign: how many lie farther than 95 % of the run's own cells.
        doubtful: how many names are not to be trusted, where that is known.
    """

    classes: Counter[str]
    labeled: int
    correct: int
    sizes: Counter[tuple[int, int]]
    failed: int
    foreign: int
    doubtful: int


def predict_folder(
    folder: Path,
    images: OpenedImages,
    encoder: Encoder,
    out: Path,
    *,
    complain: Callable[[str], None],
    progress: Callable[[int, int], None],
    columns: CellColumns,
    least_sure: LeastSure | None = None,
    part: int = PART_IMAGES,
) -> Predicted | None:
    """Name every image that can be read; the CSV is there whole, or not at all.

    Args:
        folder: that holds the images, for errors.
        images: of it.
        encoder: names them; it has the names of its classes.
        out: the CSV: `path,label,predicted` and one probability a class, p_CLASS, as
            a run's predictions.csv, and what `columns` adds.
        complain: hears of each image that cannot be read.
        progress: called with how many images are done, and of how many.
        columns: gives what else is known of each cell.
        least_sure: is shown every cell; the images are then no parts.
        part: images that are lost at most where the command is killed.

    Returns:
        what came out; None where another command, which shared the parts, has written
        the CSV.

    Raises:
        DataError: not one image can be read.
        ConfigError: the CSV cannot be written, or OUT.partial is another command's.
    """
    total = len(images.paths)
    size = total if least_sure is not None else min(part, total)
    job = _Job(images, encoder, complain, columns, least_sure)
    if size == total:
        with whole_file(out, option="--out") as file:
            done = _write_part(job, file, 0, total, progress)
            _check_any(done, folder, out)
        return done

    def write(part: WorkPart) -> dict[str, Any]:
        def shown(count: int, of: int) -> None:
            progress(part.start + count, total)

        with whole_file(part.path, option="--out") as file:
            done = _write_part(job, file, part.start, part.stop, shown)
        sizes = [[*size, count] for size, count in done.sizes.items()]
        return {**done._asdict(), "sizes": sizes}

    parts = split_work(out.with_name(out.name + ".partial"), total, size, ".csv")
    with made_parts(
        parts,
        _about(job, size),
        write,
        out=out,
        what="other images, run, batch size, prior, error or level",
        known=lambda part: progress(part.stop, total),
    ) as notes:
        if notes is None:
            return None
        done = _sum([_from_note(note) for note in notes])
        _check_any(done, folder, out)
        with whole_file(out, option="--out") as file:
            for each in parts:
                with open(each.path, "rb") as rows:
                    shutil.copyfileobj(rows, file, 1 << 20)
    return done


class _Job(NamedTuple):
    """What is the same for every part."""

    images: OpenedImages
    encoder: Encoder
    complain: Callable[[str], None]
    columns: CellColumns
    least_sure: LeastSure | None


def _about(job: _Job, size: int) -> dict[str, Any]:
    """What the parts are of: others are another command's."""
    return {
        "images_sha256": paths_digest(job.images.paths),
        "params_sha256": job.encoder.digest,
        "classes": list(job.encoder.classes),
        "batch": job.encoder.step,
        "part": size,
        "columns": list(job.columns.names),
        "calibrated": job.columns.described,
        "trust": job.columns.settings,
    }


def _from_note(note: dict[str, Any]) -> Predicted:
    sizes = Counter({(w, h): count for w, h, count in note["sizes"]})
    return Predicted(**{**note, "classes": Counter(note["classes"]), "sizes": sizes})


def _write_part(
    job: _Job,
    file: BinaryIO,
    start: int,
    stop: int,
    progress: Callable[[int, int], None],
) -> Predicted:
    """Write the rows of some images; the header is before the first image of all."""
    images, encoder, columns = job.images, job.encoder, job.columns
    chosen = images.between(start, stop)
    predicted: Counter[str] = Counter()
    sizes: Counter[tuple[int, int]] = Counter()
    labeled = correct = failed = foreign = doubtful = 0
    writer = PredictionsWriter(file, encoder.classes, columns.names, header=start == 0)
    for batch, outputs in encoder.apply(
        chosen, complain=job.complain, progress=progress
    ):
        if batch.positions:
            values = columns.of(encoder, outputs)
            rows, far = values.probabilities, values.distances
            cells = zip(batch.positions, batch.pixels, rows, strict=False)  # filled up
            for number, (position, pixels, row) in enumerate(cells):
                path = chosen.paths[position]
                label = images.label(start + position, encoder.classes)
                more = values.cells(number, encoder.classes)
                name = writer.add(path, label, row, more)
                predicted[name] += 1
                if far is not None:
                    foreign += not far[number] <= FOREIGN  # no number is not near
                if values.doubtful is not None:
                    doubtful += bool(values.doubtful[number])
                if job.least_sure is not None:
                    job.least_sure.add(start + position, path, pixels, row)
                labeled += bool(label)
                correct += label == name
        sizes += batch.sizes
        failed += len(batch.failed)
    return Predicted(predicted, labeled, correct, sizes, failed, foreign, doubtful)


def _sum(parts: Sequence[Predicted]) -> Predicted:
    return Predicted(
        classes=sum((part.classes for part in parts), Counter()),
        labeled=sum(part.labeled for part in parts),
        correct=sum(part.correct for part in parts),
        sizes=sum((part.sizes for part in parts), Counter()),
        failed=sum(part.failed for part in parts),
        foreign=sum(part.foreign for part in parts),
        doubtful=sum(part.doubtful for part in parts),
    )


def _check_any(done: Predicted, folder: Path, out: Path) -> None:
    """Raise DataError where not one image could be read."""
    if not done.classes:
        raise DataError(
            f"not one of {done.failed:,} image(s) below {str(folder)!r} can be read; "
            f"{str(out)!r} was not written"
        )
