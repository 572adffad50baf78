"""A folder of images as a prepared set: whole and checked, or not there at all."""

import contextlib
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bmjax.console.progress import show_progress, tracked
from bmjax.console.signals import StopSignals
from bmjax.data.channel_stats import ImageScan, scan_images
from bmjax.data.images.catalog import Catalog, fingerprint
from bmjax.data.open_images import read_catalog
from bmjax.data.prepared.builder import SPLIT, BoneMarrow
from bmjax.data.prepared.card import Contents, texts, write_card
from bmjax.data.prepared.read import (
    INDEX,
    INDEX_FORMAT,
    is_prepared,
    read_index,
    read_prepared,
)
from bmjax.data.splits.make_split import counts
from bmjax.errors import ConfigError, DataError, Stopped
from bmjax.files import user_path, write_whole

SHARD_BYTES = 128 * 2**20  # ours: of a shard, which is in memory while it is written
_NAMED = 5  # unreadable images that an error names


def prepare(root: str, *, out: Path, skip_bad: bool = False, threads: int = 0) -> str:
    """Write the images of a folder as a prepared set, and say what was done.

    The set is made in a hidden folder beside its place and moved there whole. What a
    killed attempt left is removed by the next.

    Args:
        root: the folder of class folders.
        out: the set's folder, to be made.
        skip_bad: leave unreadable images out; otherwise they are an error.
        threads: that decode; 0: one for each core.

    Raises:
        ConfigError: something else is at `out`, or it cannot be written.
        DataError: no images, or unreadable ones.
        Stopped: by a signal; nothing was written.
    """
    if is_prepared(Path(root)):
        raise ConfigError(f"{root!r} is a prepared set; give the folder of its images")
    catalog = read_catalog(root)
    out = user_path("--out", out).absolute()
    if _is_done(out, catalog):
        return f"already complete: {out}"
    try:
        with StopSignals(), _claim(out) as part:
            found = scan_images(catalog, threads=threads)
            _check_readable(catalog, found, skip_bad)
            made = _make(catalog, found, part)
            os.replace(made, out)
    except Stopped as stopped:
        raise Stopped(
            "stopped; nothing was written, the same command starts again",
            stopped.exit_code,
        ) from None
    except OSError as error:
        raise ConfigError(
            f"--out={str(out)!r} cannot be written: {error.strerror}; give a folder "
            "that can, with room for all images"
        ) from None
    left_out = f"; {len(found.refused):,} left out" if found.refused else ""
    stored = len(catalog) - len(found.refused)
    return f"{stored:,} images prepared{left_out}: {out}"


def _is_done(out: Path, catalog: Catalog) -> bool:
    """Whether this very set is at its place, whole; anything else there is an error."""
    if catalog.root.absolute() in (out, *out.parents):
        raise ConfigError(
            f"--out={str(out)!r} lies within the images; give a folder outside of "
            f"{str(catalog.root)!r}"
        )
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not is_prepared(out):
        raise ConfigError(f"--out={str(out)!r} holds other files; give a new folder")
    if read_index(out)["source"] != catalog.fingerprint:
        raise ConfigError(
            f"--out={str(out)!r} holds a set of other images than "
            f"{str(catalog.root)!r}; give a new folder"
        )
    read_prepared(out)
    return True


@contextlib.contextmanager
def _claim(out: Path) -> Iterator[Path]:
    """An empty hidden folder beside the place, this process's alone, then gone."""
    part = out.with_name(f".{out.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    with open(part / ".lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"--out={str(out)!r} is being prepared by another process; wait for it"
            ) from None
        try:
            shutil.rmtree(part / "set", ignore_errors=True)
            yield part / "set"
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _check_readable(catalog: Catalog, found: ImageScan, skip_bad: bool) -> None:
    if found.refused and not skip_bad:
        names = [repr(catalog.paths[position]) for position in found.refused]
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        raise DataError(
            f"{len(names):,} of {len(catalog):,} files in {str(catalog.root)!r} are no "
            f"readable JPEG or PNG: {', '.join(names[:_NAMED])}{more}; replace or "
            "remove them, or leave them out with --on-bad-image=skip"
        )


def _make(source: Catalog, found: ImageScan, part: Path) -> Path:
    """Write shards, index and card below `part`; return the folder that holds them."""
    import tensorflow_datasets as tfds

    taken = np.setdiff1d(np.arange(len(source)), list(found.refused))
    catalog = _subset(source, taken)
    progress = show_progress("images stored")

    def read(position: int) -> bytes:
        progress(position + 1, len(catalog))  # they are asked for in order
        return source.encoded(int(taken[position])).tobytes()

    builder = BoneMarrow(
        catalog=catalog,
        read=read,
        shards=min(len(catalog), max(1, round(found.bytes / SHARD_BYTES))),
        texts=texts(counts(catalog)),
        data_dir=str(part),
    )
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            builder.download_and_prepare()
        except RuntimeError as error:  # array_record's, where the disk refuses
            raise OSError(0, str(error).partition(";")[0]) from None
    made = Path(builder.data_dir)
    split = builder.info.splits[SPLIT]
    shards = [
        {"file": name, "bytes": (made / name).stat().st_size, "images": images}
        for name, images in zip(split.filenames, split.shard_lengths, strict=True)
    ]
    images = list(_compared(catalog, source, taken, made, shards))
    digest = fingerprint(
        (path for path, _, _ in images), (size for _, size, _ in images)
    )
    if not found.refused and digest != source.fingerprint:
        raise DataError(
            f"files in {str(source.root)!r} changed while they were read; run the "
            "command again when nothing writes there"
        )
    refused = [source.paths[position] for position in found.refused]
    contents = Contents(counts(catalog), digest, found.moments, refused, source.notes)
    write_whole(made / "README.md", write_card(contents))
    index = {
        "format": INDEX_FORMAT,
        "fingerprint": digest,
        "source": source.fingerprint,
        "moments": found.moments._asdict(),
        "refused": refused,
        "notes": source.notes,
        "shards": shards,
        "images": images,
    }
    write_whole(made / INDEX, json.dumps(index) + "\n")
    return made


def _subset(catalog: Catalog, taken: np.ndarray) -> Catalog:
    """Some of the images; a class without any is gone."""
    present, labels = np.unique(catalog.labels[taken], return_inverse=True)
    return Catalog(
        root=catalog.root,
        paths=tuple(catalog.paths[position] for position in taken),
        labels=labels.astype(np.int32),
        classes=tuple(catalog.classes[label] for label in present),
        fingerprint="",
    )


def _compared(
    catalog: Catalog, source: Catalog, taken: np.ndarray, made: Path, shards: list[dict]
) -> Iterator[tuple[str, int, int]]:
    """Read every record back: the image's path, its bytes, where in the record it is.

    Raises:
        DataError: a record does not hold the file.
    """
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    records = ArrayRecordDataSource([str(made / shard["file"]) for shard in shards])
    shown = tracked(taken.tolist(), "images compared", len(taken))
    for record, position in enumerate(shown):
        content = source.encoded(position).tobytes()
        start = records[record].find(content)
        if start < 0 or not content:
            raise DataError(
                f"image {source.paths[position]!r} is not as it was read before; run "
                "the command again when nothing writes there"
            )
        yield catalog.paths[record], len(content), start
