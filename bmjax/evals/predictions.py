"""Predictions of any system, as a table: `path,label,predicted,p_CLASS...`.

A table that is wrong somewhere is refused as a whole, with the place: metrics of the
rows that happen to be good would be metrics of something else.
"""

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from bmjax.data.user_tables import UserTable, pair_images, read_user_table
from bmjax.errors import DataError
from bmjax.files import plain_cell, whole_file, without_dot

SUM_TOLERANCE = 1e-3  # six digits of hundreds of classes stay within it; ours
_COLUMNS = ("path", "label", "predicted")
_NAMED = 3  # paths that a message names


def _written(probability: np.floating | float) -> str:
    """How a table has a probability."""
    return f"{probability:.6g}"


def as_written(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as a table has them, float32: read or in memory, they are equal."""
    texts = [float(_written(value)) for value in probabilities.ravel()]
    return np.array(texts, np.float32).reshape(probabilities.shape)


class Predictions(NamedTuple):
    """What one system says of the images of one test part."""

    paths: tuple[str, ...]
    classes: tuple[str, ...]  # by number, in the order of the p_ columns
    labels: np.ndarray  # int [n], the truth
    predicted: np.ndarray  # int [n]
    probabilities: np.ndarray | None  # float32 [n, N]; None where there are none
    notes: tuple[str, ...] = ()  # sentences on what is allowed and worth knowing
    source: str = "the predictions"  # for messages


def confidently_wrong(predictions: Predictions, limit: int) -> np.ndarray:
    """Rows of wrong predictions, int [at most limit], most probable first.

    Of equal ones, and where there are no probabilities, the path decides. Equal is
    what a table of predictions writes alike, so that its rows come in the same order.
    """
    wrong = np.flatnonzero(predictions.predicted != predictions.labels)
    sure = chosen_probabilities(predictions)
    written = {row: float(_written(sure[row])) for row in wrong}
    ranked = sorted(wrong, key=lambda row: (-written[row], predictions.paths[row]))
    return np.asarray(ranked[:limit], int)


def chosen_probabilities(predictions: Predictions) -> np.ndarray:
    """The probability of each image's predicted class, [n]; 0 where none is given."""
    if predictions.probabilities is None:
        return np.zeros(len(predictions.paths))
    rows = np.arange(len(predictions.paths))
    return predictions.probabilities[rows, predictions.predicted]


def read_predictions(path: Path) -> Predictions:
    """Read a table of predictions; the columns p_CLASS may be missing all together.

    Without probabilities the classes are those that occur, by name. A predicted class
    that is not the most probable one is noted and taken as it is: a system may weigh
    its classes. Other columns are left alone, and noted.

    Raises:
        DataError: the file cannot be read; a column is missing or named twice; a row
            is too short or too long; there are no rows; a path is empty or occurs
            twice; a class is empty or has no column; a probability is no number from 0
            to 1; probabilities of a row do not sum to 1 within SUM_TOLERANCE, or
            within what rounding to the table's digits explains.
    """
    table = read_user_table(path, _COLUMNS)
    header, rows, lines, _ = table
    if not rows:
        raise DataError(f"{path} has no rows; it needs one for each test image")
    if "p_" in header:
        raise DataError(f"{path} has a column p_ without a class; name its class")
    places = {name: header.index(name) for name in _COLUMNS}
    columns = [i for i, name in enumerate(header) if name.startswith("p_")]
    paths, names, predicted_names = (
        [without_dot(row[places[column]]) for row in rows] for column in _COLUMNS
    )
    for column, values in zip(_COLUMNS, (paths, names, predicted_names), strict=True):
        if "" in values:
            line = lines[values.index("")]
            raise DataError(
                f"{path}, line {line}: {column} is empty; every row needs a {column}"
            )
    _check_once(path, paths, lines)
    classes = tuple(header[i][2:] for i in columns)
    if classes:
        # Spaces around a class's name are part of it if its rows have them too.
        occurring = {*names, *predicted_names}
        bare = tuple(c if c in occurring else c.strip() for c in classes)
        classes = bare if len(set(bare)) == len(bare) else classes
        names, predicted_names = (
            [name if name in classes else name.strip() for name in values]
            for values in (names, predicted_names)
        )
    else:
        classes = tuple(sorted({*names, *predicted_names}))
    number = {name: i for i, name in enumerate(classes)}
    for column, values in (("label", names), ("predicted", predicted_names)):
        for value, line in zip(values, lines, strict=True):
            if value not in number:
                raise DataError(
                    f"{path}, line {line}: {column} is {value!r}, which has no column "
                    f"p_{value}; add the column, or use one of {', '.join(classes)}"
                )
    probabilities, rounded = None, ""
    if columns:
        probabilities, rounded = _probabilities(path, table, columns, classes)
    predicted = np.array([number[name] for name in predicted_names])
    return Predictions(
        paths=tuple(paths),
        classes=classes,
        labels=np.array([number[name] for name in names]),
        predicted=predicted,
        probabilities=probabilities,
        notes=_notes(header, predicted, probabilities, rounded),
        source=str(path),
    )


class PredictionsWriter:
    """Writes a table of predictions row by row, as `read_predictions` reads it."""

    def __init__(
        self,
        file: BinaryIO,
        classes: Sequence[str],
        more: Sequence[str] = (),
        *,
        header: bool = True,
    ):
        """Write the first line.

        Args:
            file: takes bytes, as `files.whole_file` gives it.
            classes: of the probabilities, by number.
            more: names of columns after them.
            header: write it; not for a table's later parts.
        """
        self._file, self._classes = file, tuple(classes)
        if header:
            self._write([*_COLUMNS, *(f"p_{name}" for name in classes), *more])

    def add(
        self,
        path: str,
        label: str,
        probabilities: np.ndarray,
        more: Sequence[str] = (),
    ) -> str:
        """Write one image's row; return the class that is predicted.

        Args:
            path: of the image.
            label: its class; "" where it is not known.
            probabilities: of each class, float [N].
            more: cells of the columns after them.
        """
        predicted = self._classes[probabilities.argmax()]
        cells = (plain_cell(text) for text in (path, label, predicted))
        self._write([*cells, *map(_written, probabilities), *more])
        return predicted

    def _write(self, cells: Sequence[str]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        # A file name that is no UTF-8 goes back to its bytes.
        self._file.write(text.getvalue().encode("utf-8", errors="surrogateescape"))


@contextlib.contextmanager
def writing_predictions(
    path: Path, classes: Sequence[str], *, option: str = ""
) -> Iterator[PredictionsWriter]:
    """A writer whose table has its name once it is whole, and never before.

    Args:
        path: of the table.
        classes: of the probabilities, by number.
        option: what the user gave the path by, such as "--out".

    Raises:
        CannotWrite: the disk is full, or the place may not be written.
    """
    with whole_file(path, option=option) as file:
        yield PredictionsWriter(file, classes)


def write_predictions(
    path: Path,
    paths: Sequence[str],
    labels: Sequence[str],
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write a whole table of predictions.

    Args:
        path: of the table.
        paths: of the images.
        labels: the class of each; "" where it is not known.
        probabilities: float [n, N].
        classes: N names, by number.

    Raises:
        CannotWrite: the disk is full, or the place may not be written.
    """
    with writing_predictions(path, classes) as writer:
        for image, label, row in zip(paths, labels, probabilities, strict=True):
            writer.add(image, label, row)


def spell_as(first: Predictions, second: Predictions) -> Predictions:
    """The second with its paths spelled as the first's where they name the same images.

    Nothing is changed where two of its rows would name one image.
    """
    paired = pair_images(second.paths, first.paths)
    paths = tuple(
        path if known is None else known
        for path, known in zip(second.paths, paired, strict=True)
    )
    return second._replace(paths=paths) if len(set(paths)) == len(paths) else second


def join(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """The same images in the same order, and classes by the same numbers, in both.

    The order is the first's. Classes that only one system knows get probability 0 in
    the other.

    Raises:
        DataError: an image is missing in one of them, or its label differs.
    """
    second = spell_as(first, second)
    first_paths, second_paths = set(first.paths), set(second.paths)
    for lacking, missing in (
        (second, first_paths - second_paths),
        (first, second_paths - first_paths),
    ):
        if missing:
            raise DataError(
                f"{lacking.source} lacks {_count(missing, 'image')} that it is "
                f"compared on: {_some(missing)}; it has {lacking.paths[0]}; compare "
                "systems on the same test images"
            )
    classes = first.classes + tuple(
        name for name in second.classes if name not in first.classes
    )
    place = {path: row for row, path in enumerate(second.paths)}
    order = np.array([place[path] for path in first.paths])
    pair = (
        _renumbered(first, np.arange(len(order)), classes),
        _renumbered(second, order, classes),
    )
    differs = np.flatnonzero(pair[0].labels != pair[1].labels)
    if len(differs):
        row = differs[0]
        raise DataError(
            f"{_count(differs, 'image')} differ in label between {first.source} and "
            f"{second.source}: {first.paths[row]} is "
            f"{classes[pair[0].labels[row]]} and {classes[pair[1].labels[row]]}; "
            "compare systems on the same labels"
        )
    return pair


def concatenate(
    folds: Mapping[int, Predictions], *, expected: int | None = None
) -> Predictions:
    """The test parts of several folds as one, in the order of the folds.

    Args:
        folds: predictions by number of the fold.
        expected: how many folds there should be, numbered from 0; not checked if None.

    Raises:
        DataError: a fold is missing or there is none; the folds have other classes;
            an image occurs in two folds; some have probabilities and some have not.
    """
    missing = [str(n) for n in range(expected or 0) if n not in folds]
    if missing or not folds:
        raise DataError(
            f"fold {', '.join(missing)} of {expected} is missing; run it, or leave "
            "out the whole system"
            if missing
            else "there is no fold; give the predictions of one or more"
        )
    ordered = [folds[number] for number in sorted(folds)]
    first = ordered[0]
    seen: dict[str, Predictions] = {}
    for part in ordered:
        if set(part.classes) != set(first.classes):
            differing = set(part.classes) ^ set(first.classes)
            raise DataError(
                f"{first.source} and {part.source} have other classes: only one has "
                f"{_some(differing)}; folds must share all their classes"
            )
        if (part.probabilities is None) != (first.probabilities is None):
            raise DataError(
                f"only one of {first.source} and {part.source} has probabilities; "
                "give all folds with them or none"
            )
        for path in part.paths:
            if path in seen:
                raise DataError(
                    f"{path} is in {seen[path].source} and in {part.source}; each "
                    "image may be tested in one fold"
                )
            seen[path] = part
    parts = [
        _renumbered(part, np.arange(len(part.paths)), first.classes) for part in ordered
    ]
    return Predictions(
        paths=tuple(path for part in parts for path in part.paths),
        classes=first.classes,
        labels=np.concatenate([part.labels for part in parts]),
        predicted=np.concatenate([part.predicted for part in parts]),
        probabilities=(
            None
            if first.probabilities is None
            else np.concatenate([part.probabilities for part in parts])
        ),
        notes=tuple(f"{part.source}: {note}" for part in parts for note in part.notes),
        source=", ".join(part.source for part in parts),
    )


def _check_once(path: Path, paths: Sequence[str], lines: Sequence[int]) -> None:
    seen: dict[str, int] = {}
    for image, line in zip(paths, lines, strict=True):
        if image in seen:
            raise DataError(
                f"{path}, line {line}: {image} is on line {seen[image]} already; keep "
                "one row for each image"
            )
        seen[image] = line


def _probabilities(
    path: Path, table: UserTable, columns: Sequence[int], classes: Sequence[str]
) -> tuple[np.ndarray, str]:
    """Probabilities, float32 [n, N], rows summing to 1, and a note on their rounding.

    A number that was rounded to d decimals lies within half a unit of the last one, and
    is no less than 0. A row is explained by that if its largest possible sum is 1 or
    more and its smallest 1 or less.
    """
    texts = [[row[i].strip() for i in columns] for row in table.rows]
    if table.separator != ",":  # decimal commas
        texts = [[text.replace(",", ".") for text in row] for row in texts]
    values = np.array([[_number(text) for text in row] for row in texts])
    wrong = np.argwhere(~((values >= 0) & (values <= 1)))  # not a number is wrong too
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"{path}, line {table.lines[row]}: p_{classes[column]} is "
            f"{table.rows[row][columns[column]]!r}; a probability is a number from 0 "
            "to 1"
        )
    # All numbers of a table are written alike: zeros at their ends may be missing.
    decimals = max(_decimals(text) for row in texts for text in row)
    half = 0.5 * 10.0**-decimals if decimals else 0.0
    least = np.maximum(values - half, 0).sum(axis=1) - SUM_TOLERANCE
    most = (values + half).sum(axis=1) + SUM_TOLERANCE
    sums = values.sum(axis=1)
    off = np.flatnonzero((least > 1) | (most < 1))
    if len(off):
        digits = f" or as {decimals} decimals explain" if half else ""
        raise DataError(
            f"{path}, line {table.lines[off[0]]}: the probabilities sum to "
            f"{sums[off[0]]:.4g}, in {_count(off, 'row')} not to 1 within "
            f"{SUM_TOLERANCE:g}{digits}; write those of all classes, after the softmax"
        )
    rounded = np.abs(sums - 1) > SUM_TOLERANCE
    note = (
        f"Probabilities are rounded to {decimals} decimal(s): in {rounded.sum():,} of "
        f"{len(sums):,} rows they do not sum to 1 (from {sums.min():.4g} to "
        f"{sums.max():.4g}). They are taken as they are; log loss and calibration "
        "suffer."
        if rounded.any()
        else ""
    )
    return values.astype(np.float32), note


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _decimals(text: str) -> int:
    """Decimals of a number as it is written: 2 of "0.25" and of "2.5e-1", 0 of "1"."""
    mantissa, _, exponent = text.lower().partition("e")
    return max(len(mantissa.partition(".")[2]) - int(exponent or 0), 0)


def _notes(
    header: Sequence[str],
    predicted: np.ndarray,
    probabilities: np.ndarray | None,
    rounded: str,
) -> tuple[str, ...]:
    notes = [rounded] if rounded else []
    if probabilities is not None:
        best = probabilities.max(axis=1)
        chosen = probabilities[np.arange(len(predicted)), predicted]
        if count := int(np.sum(chosen < best)):
            notes.append(
                f"In {count} of {len(predicted)} rows the predicted class is not the "
                "most probable one; metrics are of the predicted class."
            )
    others = [n for n in header if n and n not in _COLUMNS and n[:2] != "p_"]
    if others:
        notes.append(f"Columns that were not used: {', '.join(others)}.")
    return tuple(notes)


def _renumbered(
    part: Predictions, order: np.ndarray, classes: tuple[str, ...]
) -> Predictions:
    """The rows in another order, the classes by other numbers."""
    number = np.array([classes.index(name) for name in part.classes])
    probabilities = None
    if part.probabilities is not None:
        probabilities = np.zeros((len(order), len(classes)), np.float32)
        probabilities[:, number] = part.probabilities[order]
    return part._replace(
        paths=tuple(part.paths[row] for row in order),
        classes=classes,
        labels=number[part.labels[order]],
        predicted=number[part.predicted[order]],
        probabilities=probabilities,
    )


def _count(things, name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _some(names) -> str:
    ordered = sorted(names)
    more = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
