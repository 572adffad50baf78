"""One split that several networks are judged on, held against what each has seen."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.data.images.catalog import Catalog
from bmjax.data.open_images import read_catalog
from bmjax.data.seen_images import catalog_hashes, shared_images
from bmjax.data.splits.make_split import Split
from bmjax.data.splits.validation_part import split_run
from bmjax.errors import ConfigError, DataError
from bmjax.files import user_path
from bmjax.methods import METHODS
from bmjax.run.workdir import excluded, images_root, labels_of
from bmjax.training.run_config import read_run_config
from bmjax.training.trained_network import about_source, seen_by

_BAD_SHARE = 0.001  # of the training images may be unreadable; configs/common.py's
_MOST_STARTS = 20  # that are followed back, so that two of each other end


class CommonSplit(NamedTuple):
    """Images, and which of them test.

    Attributes:
        origin: the run, or the folder, that it was taken from; for sentences.
        catalog: the images.
        split: which train and which test.
        digest: of the split.
        name: of the split, such as "kfold".
        fold: of it.
        seed: of it.
        bad_share: how many training images may be unreadable, as a share.
    """

    origin: Path
    catalog: Catalog
    split: Split
    digest: str
    name: str
    fold: int
    seed: int
    bad_share: float = _BAD_SHARE

    @property
    def train_paths(self) -> list[str]:
        """Paths of the training images, in their order."""
        return [self.catalog.paths[position] for position in self.split.train]


def folder_split(
    folder: Path,
    *,
    name: str,
    fold: int,
    seed: int,
    exclude: Sequence[str] = (),
    labels: str | os.PathLike = "",
    validation_share: float = 0.0,
) -> CommonSplit:
    """Split a folder of class folders, or a prepared set; `make_split` has the errors.

    Args:
        folder: holds the images.
        name: of the split.
        fold: of it.
        seed: of it.
        exclude: classes to leave out.
        labels: a file of corrections; "" for none.
        validation_share: of the training images, which then do not train.
    """
    catalog = read_catalog(folder, exclude=exclude, labels=labels)
    if len(catalog.classes) < 2:
        raise DataError(
            f"{str(folder)!r} holds one class of images, {catalog.classes[0]!r}; give "
            "the folder that holds one folder for each class"
        )
    split, _, digest = split_run(
        catalog, name=name, fold=fold, seed=seed, share=validation_share
    )
    return CommonSplit(folder, catalog, split, digest, name, fold, seed)


def run_split(run: Path, folder: Path | None = None) -> CommonSplit:
    """Open the images of a run, and split them as it did.

    Args:
        run: its workdir.
        folder: where the images are now; None: where the run read them.

    Raises:
        ConfigError: it is no trained run.
        DataError: its images are not there, or are others now.
    """
    trained_on = about_source(run)["trained_on"]
    config = read_run_config(run)
    data = config.data
    found = folder_split(
        images_root(run, data, config.seed, folder),
        name=data.split,
        fold=data.fold,
        seed=data.split_seed,
        exclude=excluded(data.exclude),
        labels=labels_of(run, data.labels),
        validation_share=float(data.validation_share),
    )
    for what, ours, theirs in (
        ("images", found.catalog.fingerprint, trained_on["data_fingerprint"]),
        ("split", found.digest, trained_on["split_digest"]),
    ):
        if ours != theirs:
            raise DataError(
                f"the {what} of {str(found.origin)!r} are not those of the run "
                f"{str(run)!r} (digest {ours[:12]}, expected {_short(theirs)}); "
                "restore them, or give the folder where they are, --data=FOLDER"
            )
    return found._replace(origin=run, bad_share=float(data.bad_share))


def _short(digest: str | None) -> str:
    return "unknown" if digest is None else digest[:12]


def refuse_unfit(source: Path, common: CommonSplit, say: Callable[[str], None]) -> None:
    """Refuse a network that belongs to another split, or has seen test images.

    Where it cannot be known what it has seen, that is said.

    Args:
        source: workdir of a run, or a file of weights.
        common: the split to judge on.
        say: takes a sentence.

    Raises:
        ConfigError: it cannot be judged on this split.
    """
    about = about_source(source)
    trained_on = about.get("trained_on", {})
    if source.is_dir():
        _refuse_other_split(source, trained_on, common)
    seen = seen_by(about)
    same = trained_on.get("split_digest") == common.digest
    if seen is None and same and trained_on.get("pretrain_on") == "all":
        raise _saw(source, len(common.split.test), common, "")
    if seen is None and not same:
        say(
            f"note: {source} does not say which images it was trained on; whether it "
            "saw the test images is not known"
        )
    if seen is None:
        return
    shared = shared_images(seen, catalog_hashes(common.catalog, common.split.test))
    if len(shared):
        first = common.catalog.paths[common.split.test[shared[0]]]
        raise _saw(source, len(shared), common, f", such as {first!r}")
    for name in seen.unknown:
        say(
            f"note: {source} began with {name}, which does not say which images it was "
            "trained on; whether those are test images is not known"
        )


def _saw(source: Path, images: int, common: CommonSplit, such_as: str) -> ConfigError:
    return ConfigError(
        f"{str(source)!r} was trained on {images:,} of the {len(common.split.test):,} "
        f"test images of {common.name} {common.fold}{such_as}; judge it on images that "
        "it has not seen: leave it out, or take another split or fold"
    )


def _refuse_other_split(
    run: Path, trained_on: dict[str, Any], common: CommonSplit
) -> None:
    theirs, ours = trained_on["data_fingerprint"], common.catalog.fingerprint
    if theirs != ours:
        raise ConfigError(
            f"{str(run)!r} was trained on other images (fingerprint {_short(theirs)}) "
            f"than those of {str(common.origin)!r} (fingerprint {ours[:12]}); compare "
            "runs on the same images alone, without the same classes"
        )
    if trained_on["split_digest"] != common.digest:
        raise ConfigError(
            f"{str(run)!r} has the split {trained_on['split']} {trained_on['fold']}, "
            f"seed {trained_on['split_seed']} (digest "
            f"{_short(trained_on['split_digest'])}), and {str(common.origin)!r} has "
            f"{common.name} {common.fold}, seed {common.seed} (digest "
            f"{common.digest[:12]}); compare runs on one split alone"
        )


class Training(NamedTuple):
    """What a network's features have learned from.

    labels: "all" (of its training images), "none" or "unknown".
    sentence: the same in words.
    """

    labels: str
    sentence: str


def training_of(source: Path, common: CommonSplit) -> Training:
    """Whether a network's features have been learned from labels, as far as known.

    A run that started from another's weights is followed back to the first; a linear
    classifier changes no feature.
    """
    about = about_source(source)
    place = source
    for _ in range(_MOST_STARTS):
        spec = METHODS.get(about.get("method", ""))
        if spec is None:
            return Training("unknown", f"what {place.name} learned from is not known")
        if spec.uses_labels and spec.trains_backbone:
            own = about.get("trained_on", {}).get("split_digest") == common.digest
            whose = f"all {len(common.split.train):,}" if own else "its own"
            began = "" if place == source else f" of {place.name}, which it began with"
            return Training(
                "all",
                f"with the labels of {whose} training images ({spec.title}{began})",
            )
        if not place.is_dir():
            return Training("none", f"without labels ({spec.title}), as far as known")
        start = read_run_config(place).init_from
        if not start:
            return Training("none", f"without labels ({spec.title})")
        place = user_path("config.init_from", start)
        if not place.exists():
            break
        about = about_source(place)
    return Training("unknown", f"it began with {place}, which is not there any more")
