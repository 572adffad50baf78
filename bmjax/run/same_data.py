"""Whether a run goes on with the images that it began with.

The files of test images teach a network nothing: they may be mended, under the same
names, while a run lasts and after its training. How many were is said in its results.
"""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.data.images.catalog import fingerprint
from bmjax.data.splits.make_split import shown_to_training
from bmjax.errors import DataError
from bmjax.run.build import RunData
from bmjax.run.workdir import short_digest

_LABELS = "labels_digest"
_KEYS = (
    "data_fingerprint",
    "split_digest",
    "classes",
    "trained_fingerprint",
    "test_sizes",
)


def record_data(data: RunData, pretrain_on: str) -> dict[str, Any]:
    """What a run keeps of its images in every checkpoint, as JSON.

    Args:
        data: its images.
        pretrain_on: config.data.pretrain_on; with "all" the test images train too.

    Returns:
        data_fingerprint and split_digest, as of `RunData`; classes, their names;
        trained_fingerprint, of the paths and sizes of the images that train and of
        those that a step is chosen on; test_sizes, bytes of each test image in the
        split's order (base64 of little-endian int64); and labels_digest, of the
        corrections of labels, where there are any.
    """
    shown = shown_to_training(data.split, pretrain_on)
    trained = np.concatenate([shown, data.validation])
    paths = [data.catalog.paths[position] for position in trained]
    corrections = data.catalog.corrections
    return {
        **({_LABELS: corrections} if corrections else {}),
        "data_fingerprint": data.catalog.fingerprint,
        "split_digest": data.split_digest,
        "classes": list(data.catalog.classes),
        "trained_fingerprint": fingerprint(paths, _sizes(data, trained).tolist()),
        "test_sizes": base64.b64encode(_test_sizes(data).tobytes()).decode(),
    }


def kept_record(meta: dict[str, Any]) -> dict[str, Any] | None:
    """What `record_data` gave at the run's begin; None: an older version's checkpoint.

    Args:
        meta: of a checkpoint.
    """
    if not all(key in meta for key in _KEYS):
        return None
    return {key: meta[key] for key in (*_KEYS, _LABELS) if key in meta}


def check_same_data(
    meta: dict[str, Any], data: RunData, *, pretrain_on: str, split: str, workdir: Path
) -> list[str]:
    """Refuse images other than those that a run began with, test files apart.

    Args:
        meta: of the run's checkpoint.
        data: the images that are there now.
        pretrain_on: config.data.pretrain_on.
        split: config.data.split, for errors.
        workdir: of the run, for errors.

    Returns:
        a sentence where test files are others than at the run's begin, for its results.

    Raises:
        DataError: the training or validation images, the paths or the split are others.
    """
    before, now = meta.get(_LABELS, ""), data.catalog.corrections
    if before != now:
        raise DataError(
            f"the corrections of config.data.labels (digest {short_digest(now)}) are "
            f"not those that the run in {str(workdir)!r} began with (digest "
            f"{short_digest(before)}); give its own, or use another --workdir"
        )
    same_images = meta["data_fingerprint"] == data.catalog.fingerprint
    same_split = meta["split_digest"] == data.split_digest
    if same_images and same_split:
        return []
    if same_images:
        raise DataError(
            f"config.data.split = {split!r} is not the split that the run in "
            f"{str(workdir)!r} began with (digest {data.split_digest[:12]}, expected "
            f"{meta['split_digest'][:12]}); restore it, or use another --workdir"
        )
    record = kept_record(meta)
    trained = record_data(data, pretrain_on)["trained_fingerprint"]
    # The digest of the split is one of all paths of both parts.
    if not (record and same_split and record["trained_fingerprint"] == trained):
        raise DataError(
            f"the images in {str(data.catalog.root)!r} are not those that the run in "
            f"{str(workdir)!r} began with (fingerprint "
            f"{data.catalog.fingerprint[:12]}, expected "
            f"{meta['data_fingerprint'][:12]}; only the files of test images may be "
            "others, under the same names); restore them, or use another --workdir"
        )
    sizes = np.frombuffer(base64.b64decode(record["test_sizes"]), "<i8")
    others = data.split.test[sizes != _test_sizes(data)]
    if not len(others):  # an image that is in neither part
        return []
    return [
        f"The files of {len(others):,} of the {len(data.split.test):,} test images are "
        f"others than when the run began, first {data.catalog.paths[others[0]]!r}: the "
        "test is on the files of now, and no training image differs."
    ]


def _test_sizes(data: RunData) -> np.ndarray:
    return _sizes(data, data.split.test).astype("<i8")


def _sizes(data: RunData, positions: np.ndarray) -> np.ndarray:
    sizes = data.catalog.sizes
    return np.zeros(len(positions), int) if sizes is None else sizes[positions]
