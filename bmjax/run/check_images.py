"""Read every image of a run once before its first step: a broken one is found then."""

import time
from collections.abc import Callable

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.images.find_unreadable import find_unreadable
from bmjax.data.pipeline import Replaced
from bmjax.devices.processes import from_first
from bmjax.errors import DataError
from bmjax.run.build import RunData
from bmjax.run.logs import short_duration

_NAMED = 10  # paths that an error names; ours


def check_images_once(
    data: RunData,
    replaced: Replaced,
    *,
    threads: int,
    begun: bool,
    say: Callable[[str], None],
) -> list[str]:
    """`check_images` by the first process, whose result all get."""

    def checked() -> list:
        notes = check_images(data, replaced, threads=threads, begun=begun, say=say)
        return [notes, sorted(replaced.positions)]

    notes, positions = from_first(checked)
    replaced.positions.update(positions)
    return notes


def check_images(
    data: RunData,
    replaced: Replaced,
    *,
    threads: int,
    begun: bool,
    say: Callable[[str], None],
) -> list[str]:
    """Read what training and evaluation will read: all parts of the split, whole.

    A test or validation image is never replaced, so that a broken one would end the run
    after all of its training; and the probes read every training image, those too that
    training may not have drawn.

    Args:
        data: the images.
        replaced: counts the training images that cannot be read.
        threads: that read and decode.
        begun: whether the run has made steps before.
        say: hears how long it took.

    Returns:
        a sentence where test images are copies of training images, for the results.

    Raises:
        DataError: a test or validation image cannot be read, or more training images
            than config.data.bad_share allows.
    """
    started = time.monotonic()
    split = data.split
    tested, trained = dict[int, bytes](), dict[int, bytes]()
    test = find_unreadable(data.catalog, split.test, threads=threads, digests=tested)
    train = find_unreadable(data.catalog, split.train, threads=threads, digests=trained)
    validation = find_unreadable(data.catalog, data.validation, threads=threads)
    broken, parts = {}, []
    for name, images, unreadable in (
        ("test", split.test, test),
        ("validation", data.validation, validation),
    ):
        if unreadable:
            broken |= unreadable
            parts.append(f"{len(unreadable):,} of the {len(images):,} {name} images")
    if len(train) > replaced.limit:
        broken |= train
        parts.append(
            f"{len(train):,} of the {len(split.train):,} training images "
            f"(config.data.bad_share allows {replaced.limit:,})"
        )
    if broken:
        raise DataError(_sentence(data.catalog, " and ".join(parts), broken, begun))
    replaced.note(data.catalog, np.array(list(train), np.int64))
    read = len(split.test) + len(split.train) + len(data.validation)
    say(f"read {read:,} images once in {short_duration(time.monotonic() - started)}")
    notes = _copies(data, tested, trained)
    for sentence in notes:
        say(f"note: {sentence}")
    return notes


def _copies(
    data: RunData, tested: dict[int, bytes], trained: dict[int, bytes]
) -> list[str]:
    """Say how many test files are training files, byte for byte.

    Args:
        data: the images.
        tested: a digest of each test file, by position.
        trained: of each training file.
    """
    where = {digest: position for position, digest in trained.items()}
    copies = [
        (n, where[digest]) for n, digest in sorted(tested.items()) if digest in where
    ]
    if not copies:
        return []
    first, second = (data.catalog.paths[position] for position in copies[0])
    return [
        f"{len(copies):,} of the {len(data.split.test):,} test images are training "
        f"images too, byte for byte, first {first!r} ({second!r}): their metrics are "
        "too good. python -m bmjax.data leaks lists all copies, also changed ones."
    ]


def _sentence(catalog: Catalog, which: str, broken: dict[int, str], begun: bool) -> str:
    names = [repr(catalog.paths[position]) for position in broken]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    first = next(iter(broken.values()))
    text = f"{which} cannot be read: {', '.join(names[:_NAMED])}{more}; {first}"
    if begun:
        text += (
            "; this run has begun: it goes on with whole files under the same names "
            "(training images as they were), and not without them"
        )
    return text
