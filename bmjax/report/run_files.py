"""The files of a run, read and checked: where a report's data comes in."""

import csv
import io
import itertools
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.errors import DataError
from bmjax.evals.predictions import Predictions, read_predictions
from bmjax.files import open_regular, read_json_object, without_dot
from bmjax.report.saliency_file import SALIENCY_FILE, SaliencyMaps, read_saliency

_MOST_TEXT = 2**30  # bytes of a table or of the logged numbers that are read; ours


class Point(NamedTuple):
    """One test image on the two-dimensional map of the features."""

    label: str
    x: float
    y: float


class Series(NamedTuple):
    """One logged number over the steps of a run; not-finite values are kept."""

    name: str
    steps: list[float]  # ascending, no step twice
    values: list[float]


class RunFiles(NamedTuple):
    """All that a report is made from."""

    config: dict[str, Any]
    results: dict[str, Any]
    predictions: Predictions
    series: list[Series]
    unreadable: int  # lines of metrics.jsonl that were left out
    points: list[Point]  # empty where the run wrote no embedding.csv
    atlas: dict[str, Any] | None  # of prototypes, where the method has them
    saliency: SaliencyMaps | None = None  # of its most confident mistakes


def read_run_files(workdir: Path, predictions: Predictions | None = None) -> RunFiles:
    """Read the files of a finished run; DataError names the file that is no use.

    Args:
        workdir: of the run.
        predictions: those of predictions.csv, where they are in memory; None: read it.
    """
    if not workdir.is_dir():
        raise DataError(f"expected a run folder, but {workdir} is none: check the path")
    table = workdir / "predictions.csv"
    _read_text(table)  # a run that is not finished is said to be that
    series, unreadable = read_series(_read_text(workdir / "metrics.jsonl"))
    embedding, atlas = workdir / "embedding.csv", workdir / "atlas.json"
    saliency = workdir / SALIENCY_FILE
    return RunFiles(
        predictions=read_predictions(table) if predictions is None else predictions,
        config=_read_object(workdir / "config.json"),
        results=_read_object(workdir / "results.json"),
        series=series,
        unreadable=unreadable,
        points=_read_points(embedding) if embedding.exists() else [],
        atlas=_read_atlas(atlas) if atlas.exists() else None,
        saliency=read_saliency(saliency) if saliency.exists() else None,
    )


def finite(value: Any) -> float | None:
    """The value as a float where it is a finite number (no bool), else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def section(holder: dict[str, Any], key: str) -> dict[str, Any]:
    """The dict under `key`, empty where there is none."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def read_series(text: str) -> tuple[list[Series], int]:
    """The series in the lines of a metrics file, and how many lines were no use.

    A run that was stopped and started again may have written a step twice, where the
    later line holds, and may have torn a line, which is counted and left out.
    """
    unreadable = 0
    by_name: dict[str, dict[float, float]] = {}
    for line in filter(str.strip, text.split("\n")):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            unreadable += 1
            continue
        step = finite(record.get("step")) if isinstance(record, dict) else None
        if step is None:
            unreadable += 1
            continue
        for name, value in record.items():
            if name != "step" and type(value) in (int, float):
                by_name.setdefault(name, {})[step] = float(value)
    series = []
    for name, by_step in by_name.items():
        steps = sorted(by_step)
        series.append(Series(name, steps, [by_step[step] for step in steps]))
    return series, unreadable


def _read_text(path: Path) -> str:
    """The text of a file that a report cannot do without."""
    try:
        with open_regular(path, most=_MOST_TEXT) as file:
            # A file name need not be valid UTF-8; the page shows such bytes as "?".
            return file.read().decode("utf-8", errors="surrogateescape")
    except OSError as error:
        raise _unread(path, error) from error


def _unread(path: Path, error: OSError) -> DataError:
    return DataError(
        f"expected {path.name} among the files of the run, but {path} cannot be "
        f"read ({error.strerror}): finish the run with the command that began it"
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except OSError as error:
        raise _unread(path, error) from error
    except ValueError as error:
        raise _damaged(path, "a JSON object", str(error)) from error


def _read_rows(path: Path, *columns: str) -> tuple[list[dict[str, str]], list[str]]:
    """The rows of a CSV file that must have `columns`, and all its column names."""
    reader = csv.DictReader(io.StringIO(_read_text(path), newline=""))
    expected = f"a table with the columns {', '.join(columns)}"
    try:
        names = list(reader.fieldnames or [])
        rows = list(reader)
    except csv.Error as error:
        raise _damaged(path, expected, str(error)) from error
    missing = [column for column in columns if column not in names]
    if missing:
        raise _damaged(path, expected, f"no {', '.join(missing)}")
    if any(row[column] is None for row in rows for column in columns):
        raise _damaged(path, expected, "a row that is too short")
    return rows, names


def _read_points(path: Path) -> list[Point]:
    rows, _ = _read_rows(path, "label", "x", "y")
    places = [
        (without_dot(row["label"]), _parse(row["x"]), _parse(row["y"])) for row in rows
    ]
    return [
        Point(label, x, y) for label, x, y in places if x is not None and y is not None
    ]


def _read_atlas(path: Path) -> dict[str, Any]:
    """The atlas of prototypes, as `evals.atlas` makes it."""
    atlas = _read_object(path)
    try:
        entries = atlas["prototypes"]
        numbers = [atlas["effective"], atlas["purity"], atlas["largest_class"]]
        numbers += [entry["images"] for entry in entries]
        numbers += [entry["purity"] for entry in entries if entry["images"]]
        near = [cell for entry in entries for cell in entry["nearest"]]
        numbers += [cell["cosine"] for cell in near]
        names = [cell[key] for cell in near for key in ("path", "label")]
        names += [entry["class"] for entry in entries if entry["images"]]
        numbers += [*atlas["dead"], *itertools.chain(*atlas["duplicates"])]
        whole = all(isinstance(name, str) for name in names) and None not in map(
            finite, numbers
        )
        atlas["mutual_information"]
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise _damaged(path, "the atlas of prototypes", "other entries")
    return atlas


def _parse(text: str | None) -> float | None:
    try:
        return finite(float(text or ""))
    except ValueError:
        return None


def _damaged(path: Path, expected: str, came: str) -> DataError:
    return DataError(
        f"expected {expected} in {path}, but it holds something else ({came}): "
        f"finish the run with the command that began it"
    )
