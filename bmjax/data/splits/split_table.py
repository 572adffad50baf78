"""What `python -m bmjax.data folds` shows and writes: a split, class by class."""

from collections.abc import Iterator
from pathlib import Path

from bmjax.data.images.catalog import Catalog
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.make_split import (
    FOLDS,
    SPLITS,
    Split,
    check_split,
    counts,
    is_lists,
    make_split,
    split_digest,
)
from bmjax.data.splits.split_file import folds_of_file
from bmjax.data.splits.split_lists import (
    folds_of_lists,
    refuse_existing,
    write_lists,
)
from bmjax.errors import ConfigError, DataError
from bmjax.files import check_place, plain_cell, user_path, write_csv, writing


def show_folds(
    root: str,
    *,
    name: str,
    fold: int | None,
    seed: int,
    exclude: tuple[str, ...],
    out: Path | None,
    lists: Path | None = None,
) -> str:
    """Describe a split, all of its folds or one, and write it.

    Args:
        root: the folder of images, or a prepared set.
        name: of the split.
        fold: which; None shows every fold, and writes fold 0.
        seed: of the split.
        exclude: class folders to leave out.
        out: CSV to write, `path,part`; it can be given as a split itself.
        lists: folder to make, of sorted lists with their hashes; likewise.

    Raises:
        ConfigError: unknown split or fold, or a file or folder that is there already.
        DataError: no images, or a split that leaves a class untrained.
    """
    check_split(name, fold or 0)
    if seed < 0:
        raise ConfigError(f"--seed={seed} is out of range; give 0 or more")
    if out is not None:
        check_place("--out", out)
        if out.exists():
            raise ConfigError(f"--out={str(out)!r} is there already; give another name")
    if lists is not None:
        refuse_existing("--lists", lists)
    catalog = read_catalog(root, exclude=exclude)
    shown = [fold] if fold is not None else _folds(name)
    splits = {number: _try(catalog, name, number, seed) for number in shown}
    made = {n: s for n, s in splits.items() if isinstance(s, Split)}
    if not made:
        raise splits[shown[0]]
    text = "\n".join(_table(catalog, name, seed, splits, made))
    if out is not None:
        first = splits[shown[0]]
        if isinstance(first, DataError):
            raise first
        with writing("--out", out):
            write_csv(out, ("path", "part"), _rows(catalog, first))
        text += f"\nfold {shown[0]} written to {out}"
    if lists is not None:
        for number in shown:
            if number not in made:
                raise splits[number]
        written = write_lists("--lists", lists, catalog, made)
        text += f"\nwritten to {lists}: {', '.join(path.name for path in written)}"
    return text


def _folds(name: str) -> list[int]:
    """All folds that a split has."""
    if is_lists(name):
        return folds_of_lists(user_path("--split", name))
    if name not in SPLITS:
        return folds_of_file(Path(name))
    try:
        check_split(name, 1)
    except ConfigError:
        return [0]
    return list(range(FOLDS))


def _try(catalog: Catalog, name: str, fold: int, seed: int) -> Split | DataError:
    try:
        return make_split(catalog, name=name, fold=fold, seed=seed)
    except DataError as error:
        return error


def _table(
    catalog: Catalog,
    name: str,
    seed: int,
    splits: dict[int, Split | DataError],
    made: dict[int, Split],
) -> Iterator[str]:
    images = counts(catalog)
    tested = {n: counts(catalog, split.test) for n, split in made.items()}
    width = max(map(len, catalog.classes))
    yield f"{catalog.root}: {len(catalog):,} images, {len(catalog.classes)} classes"
    yield f"split {name}, seed {seed}; test images of each fold"
    yield f"{'class':{width}} {'images':>8}" + "".join(f"   fold {n}" for n in made)
    for cell in catalog.classes:
        numbers = "".join(f"{tested[n][cell]:>9,}" for n in made)
        yield f"{cell:{width}} {images[cell]:>8,}{numbers}"
    numbers = "".join(f"{len(made[n].test):>9,}" for n in made)
    yield f"{'all':{width}} {len(catalog):>8,}{numbers}"
    for number, split in made.items():
        yield f"fold {number}: digest {split_digest(catalog, split)}"
        if absent := [cell for cell in catalog.classes if not tested[number][cell]]:
            yield f"note: fold {number} has no test image of {', '.join(absent)}"
    for number, error in splits.items():
        if number not in made:
            yield f"fold {number} cannot be trained on: {error}"


def _rows(catalog: Catalog, split: Split) -> Iterator[tuple[str, str]]:
    part = dict.fromkeys(range(len(catalog)), "none")
    part |= dict.fromkeys(split.train.tolist(), "train")
    part |= dict.fromkeys(split.test.tolist(), "test")
    return ((plain_cell(catalog.paths[position]), part[position]) for position in part)
