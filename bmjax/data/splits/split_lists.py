"""Splits as folders of lists: one name of an image a line, as others publish them.

A folder holds train and test, or fold-0, fold-1 and so on, each as .txt (a path a line)
or .csv (a column `path`, or `Image Path` as DinoBloom's). Each fold's list is of its
test images; all other lists' images train. Where the folder has a file SHA256SUMS, in
the format of the command sha256sum, every list has to agree with it.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.data.user_tables import image_key, pair_images, read_user_table
from bmjax.errors import ConfigError, DataError
from bmjax.files import write_whole, writing

SUMS = "SHA256SUMS"
_PARTS = ("train", "test")
_SUFFIXES = (".txt", ".csv")
_COLUMNS = ("path", "Image Path")  # ours, and DinoBloom's
_FOLD = re.compile(r"fold-(\d+)")


class _List(NamedTuple):
    path: Path
    names: list[str]
    lines: list[int]  # of each name, in the file


def folds_of_lists(folder: Path) -> list[int]:
    """The folds that a folder of lists has: 0 of train and test, or those it numbers.

    Raises:
        DataError: it holds neither train and test nor folds from 0 on, or one twice.
    """
    named = _named(folder)
    folds = sorted(int(found[1]) for n in named if (found := _FOLD.fullmatch(n)))
    parts = [part for part in _PARTS if part in named]
    if folds and not parts and len(folds) > 1 and folds == list(range(len(folds))):
        return folds
    if not folds and len(parts) == len(_PARTS):
        return [0]
    raise DataError(
        f"{str(folder)!r} holds the lists {', '.join(sorted(named)) or '(none)'}; a "
        "split is either train and test, or fold-0, fold-1 and so on, each as .txt "
        "(a path a line) or .csv (a column path)"
    )


def split_from_lists(
    catalog: Catalog, folder: Path, *, fold: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split by lists of names.

    Names are paths below the folder of classes; where they are written otherwise, the
    folder of the class and the file's name, or that name alone, have to be of one image
    only. Names of classes that are left out are passed over. With train and test, an
    image that neither names is in no part; with folds, each image is in one of them.

    Returns:
        positions of the training and of the test images, int64, sorted.

    Raises:
        DataError: a list cannot be read, is not what SHA256SUMS says, or names an image
            that is not there, or twice; two lists name one image; a list is empty; or
            folds leave an image out.
    """
    folds, named = folds_of_lists(folder), _named(folder)
    stems = _PARTS if len(folds) == 1 else [f"fold-{number}" for number in folds]
    _check_sums(folder, [named[stem] for stem in stems])
    owner: dict[int, _List] = {}
    members = []
    for stem in stems:
        listed = _read(named[stem])
        positions = _positions(catalog, listed)
        for position, line in positions.items():
            if position in owner:
                other = owner[position].path.name
                raise DataError(
                    f"{str(listed.path)!r}, line {line}, names "
                    f"{catalog.paths[position]!r}, which {other} has too; keep it in "
                    "one of the two"
                )
            owner[position] = listed
        if not positions:
            raise DataError(
                f"{str(listed.path)!r} names no image of {str(catalog.root)!r}; give "
                "the lists of this set"
            )
        members.append(np.array(sorted(positions), np.int64))
    if len(folds) == 1:
        return members[0], members[1]
    if len(owner) < len(catalog):
        absent = next(n for n in range(len(catalog)) if n not in owner)
        raise DataError(
            f"the folds in {str(folder)!r} lack {len(catalog) - len(owner):,} image(s) "
            f"of {str(catalog.root)!r}, first {catalog.paths[absent]!r}; give each one "
            "to a fold, or leave its class out as when the lists were written"
        )
    train = np.concatenate([m for n, m in enumerate(members) if n != fold])
    return np.sort(train), members[fold]


def write_lists(
    option: str, folder: Path, catalog: Catalog, splits: Mapping[int, Sequence]
) -> list[Path]:
    """Write a split as sorted lists with their hashes; `split_from_lists` reads them.

    A single split becomes train.txt and test.txt, several become fold-N.txt. A list has
    one path a line, "/" between its parts, below the folder of classes, sorted byte by
    byte. SHA256SUMS is what `sha256sum -c SHA256SUMS` reads.

    Args:
        option: by which the user gave the folder.
        folder: to make.
        catalog: the images.
        splits: by fold, training and test positions.

    Raises:
        ConfigError: the folder is there already, or cannot be made.
        DataError: a path has a line break in it.
    """
    if len(splits) == 1:
        (split,) = splits.values()
        lists = dict(zip(_PARTS, split, strict=True))
    else:
        lists = {f"fold-{number}": split[1] for number, split in splits.items()}
    content = {f"{stem}.txt": _lines(catalog, part) for stem, part in lists.items()}
    refuse_existing(option, folder)
    with writing(option, folder):
        folder.mkdir(parents=True)
        for name, text in content.items():
            write_whole(folder / name, text)
        sums = [f"{hashlib.sha256(t).hexdigest()}  {n}\n" for n, t in content.items()]
        write_whole(folder / SUMS, "".join(sums))
    return [folder / name for name in (*content, SUMS)]


def refuse_existing(option: str, folder: Path) -> None:
    """Raise ConfigError where the folder to be made is there."""
    if folder.exists():
        raise ConfigError(
            f"{option}={str(folder)!r} is there already; give another name"
        )


def _lines(catalog: Catalog, positions: np.ndarray) -> bytes:
    names = sorted(os.fsencode(catalog.paths[position]) for position in positions)
    for name in names:
        if b"\n" in name or b"\r" in name:
            raise DataError(
                f"{os.fsdecode(name)!r} has a line break in its name, and cannot stand "
                "in a list; rename it, or write one fold as a CSV with --out"
            )
    return b"".join(name + b"\n" for name in names)


def _named(folder: Path) -> dict[str, Path]:
    """The lists in a folder by their name without suffix."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = path.stem
        known = stem in _PARTS or _FOLD.fullmatch(stem)
        if path.suffix.lower() not in _SUFFIXES or not known:
            continue
        if stem in found:
            raise DataError(
                f"{str(folder)!r} holds {found[stem].name} and {path.name}; keep one"
            )
        found[stem] = path
    return found


def _check_sums(folder: Path, lists: Sequence[Path]) -> None:
    """Hold every list against SHA256SUMS, where there is one."""
    sums = folder / SUMS
    if not sums.is_file():
        return
    known = {}
    for line in sums.read_text(errors="surrogateescape").splitlines():
        digest, _, name = line.partition(" ")
        known[name.strip().removeprefix("*")] = digest
    for path in lists:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if known.get(path.name) != found:
            raise DataError(
                f"{str(path)!r} has the SHA-256 {found[:12]}, and {SUMS} beside it "
                f"says {known.get(path.name, 'nothing of it')[:12]}; take the lists "
                f"as they were published, or remove {SUMS} if you mean these"
            )


def _read(path: Path) -> _List:
    if path.suffix.lower() == ".csv":
        table = read_user_table(path, (), any_of=_COLUMNS)
        column = next(c for c in map(table.header.index, _in(table.header)))
        return _List(path, [row[column] for row in table.rows], table.lines)
    try:
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); give a list of paths"
        ) from error
    lines = [
        line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")
    ]
    kept = [(name, n) for n, name in enumerate(lines, start=1) if name.strip()]
    return _List(path, [name for name, _ in kept], [n for _, n in kept])


def _in(header: Sequence[str]) -> list[str]:
    return [name for name in _COLUMNS if name in header]


def _positions(catalog: Catalog, listed: _List) -> dict[int, int]:
    """The line in the list of each image that it names, by position."""
    number = {path: position for position, path in enumerate(catalog.paths)}
    paired = pair_images(listed.names, catalog.paths)
    short = _short_names(catalog) if None in paired else {}
    found: dict[int, int] = {}
    absent: list[tuple[str, int]] = []
    for name, path, line in zip(listed.names, paired, listed.lines, strict=True):
        place = number.get(path)
        if place is None:
            parts = tuple(image_key(name).split("/"))
            place = short.get(parts[-2:])
        if place is None:
            inside = len(parts) == 1 or not set(parts).isdisjoint(catalog.classes)
            absent += [(name, line)] if inside else []
        elif place in found:
            raise DataError(
                f"{str(listed.path)!r}, line {line}, names an image again: {name!r} "
                f"(line {found[place]}); keep one of the two"
            )
        else:
            found[place] = line
    if absent:
        name, line = absent[0]
        raise DataError(
            f"{str(listed.path)!r} names {len(absent):,} image(s) that are not in "
            f"{str(catalog.root)!r}, or more than one there, first {name!r} (line "
            f"{line}); give paths such as {catalog.paths[0]!r}"
        )
    return found


def _short_names(catalog: Catalog) -> dict[tuple[str, ...], int]:
    """Position by class and file name, and by file name, where one image has it."""
    found: dict[tuple[str, ...], int] = {}
    several = set()
    for position, path in enumerate(catalog.paths):
        parts = image_key(path).split("/")
        for key in {(parts[0], parts[-1]), (parts[-1],)}:
            if key in found:
                several.add(key)
            found[key] = position
    return {key: place for key, place in found.items() if key not in several}
