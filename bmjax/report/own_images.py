"""Whether a folder holds the images that a run was made on, so that they may be shown.

A run may come from somebody else, and its config.json may name any folder of the
reader's disk. Pictures from there would stand in a page that the reader sends on.
"""

import os
from pathlib import Path

from bmjax.data.images.listing import list_images
from bmjax.data.label_corrections import corrected_fingerprint
from bmjax.data.open_images import read_catalog
from bmjax.data.prepared.read import is_prepared
from bmjax.errors import BmjaxError
from bmjax.report.run_files import RunFiles, section

# So many entries of a folder are looked at for each image of the run, and beside them:
# a whole disk would take minutes. Ours.
_EACH, _BESIDE, _MOST = 20, 10_000, 5_000_000


def holds_images_of(run: RunFiles, root: Path, *, within: Path | None = None) -> bool:
    """Whether the paths and sizes of a folder's images are those of the run's.

    Args:
        run: whose results.json has their fingerprint.
        root: a folder of class folders, or a prepared set.
        within: a folder that no image may lead out of, by whatever link; None: the
            images may lie anywhere.
    """
    expected = run.results.get("data_fingerprint")
    if not isinstance(expected, str) or not expected:
        return False
    counted = [run.results.get(key) for key in ("n_train", "n_test")]
    images = sum(n for n in counted if isinstance(n, int) and n >= 0)
    names = section(run.config, "data").get("exclude")
    names = names if isinstance(names, list) else []
    exclude = [name for item in names for name in str(item).split(",")]
    try:
        if within is not None and not _inside(root, within):
            return False
        if not is_prepared(root):
            listing = list_images(root, most=min(_EACH * images + _BESIDE, _MOST))
            if within is not None and listing.links_out:
                return False
        catalog = read_catalog(root, exclude=exclude, say=lambda note: None)
    except (BmjaxError, OSError, ValueError):
        return False
    corrections = section(run.results, "labels").get("digest", "")
    return corrected_fingerprint(catalog.fingerprint, str(corrections)) == expected


def _inside(path: Path, folder: Path) -> bool:
    place, around = os.path.realpath(path), os.path.realpath(folder)
    return place.startswith(around + os.sep)
