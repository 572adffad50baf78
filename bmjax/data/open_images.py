"""Open a data set: a folder of class folders, or a prepared set of them.

Both give the same order, labels, bytes and fingerprint, so that a run may move from one
to the other.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from bmjax.console.notes import print_note
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.folder import read_folder
from bmjax.data.prepared.read import is_prepared, read_prepared


def read_catalog(
    root: str | os.PathLike,
    *,
    exclude: Sequence[str] = (),
    say: Callable[[str], None] = print_note,
) -> Catalog:
    """Read a folder of class folders, or a prepared set.

    Args:
        root: the folder.
        exclude: classes to leave out.
        say: hears what lies in the folder and is passed over, a sentence for each kind.

    Raises:
        DataError: there are no images, nothing to exclude by a name, or a part of a
            prepared set is missing or damaged.
    """
    root = Path(root)
    read = read_prepared if is_prepared(root) else read_folder
    catalog = read(root, exclude=exclude)
    for note in catalog.notes:
        say(note)
    return catalog
