"""`python -m bmjax.data leaks`: its options, and what it does."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bmjax.console.progress import show_progress
from bmjax.errors import ConfigError, DataError
from bmjax.files import check_place

_DESCRIPTION = """\
Look for copies among the images of ROOT: the same file, the same pixels, and near
copies (turned, flipped, compressed again, a little brighter, cropped by up to 8 %),
and say which of them stand on both sides of a split. A test image that was trained on
tells nothing.

Exit codes: 0 no test image has a copy in the training part, 3 some have, 2 usage."""


def add_leaks(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    command = commands.add_parser(
        "leaks",
        help="find copies of test images in the training part",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    add("root", metavar="ROOT", help="the folder of class folders, or a prepared set")
    add(
        "--split",
        default="holdout",
        metavar="NAME",
        help="as config.data.split (default: holdout)",
    )
    add("--fold", type=int, default=0, metavar="N", help="as config.data.fold")
    add(
        "--seed",
        type=int,
        default=42,
        metavar="S",
        help="as config.data.split_seed (default: 42)",
    )
    add(
        "--exclude",
        action="append",
        default=[],
        metavar="CLASS[,CLASS]",
        help="classes to leave out",
    )
    add(
        "--features",
        type=Path,
        metavar="RUN",
        help="also look at pairs of images whose features are alike in this finished "
        "run; the split has to be the run's",
    )
    add(
        "--cosine",
        type=float,
        default=0.95,
        metavar="C",
        help="with --features: from which two images are alike (default: 0.95)",
    )
    add(
        "--similarity",
        type=float,
        metavar="S",
        help="from which two images are near copies (default: 0.975)",
    )
    add("--json", type=Path, metavar="FILE", help="write the counts")
    add("--csv", type=Path, metavar="FILE", help="write every pair of copies")
    add(
        "--groups",
        type=Path,
        metavar="FILE.csv",
        help="write path,group with copies in one group: --config.data.split=FILE.csv "
        "keeps them together",
    )
    add(
        "--hashes",
        type=Path,
        metavar="FILE.npz",
        help="keep what was read of the images, 3 KB each, for the next time",
    )
    add("--examples", type=int, default=10, metavar="N", help="shown (default: 10)")
    add("--threads", type=int, default=0, metavar="N", help="default: one per core")
    command.set_defaults(run=run_leaks)


def run_leaks(options: argparse.Namespace) -> None:
    """Audit a folder, print the summary and write what was asked for.

    Raises:
        ConfigError: an option that cannot be.
        DataError: images or a run that cannot be used; or a copy on both sides.
    """
    _check(options)
    from bmjax.data.leaks.align import SIMILAR
    from bmjax.data.leaks.audit import audit
    from bmjax.data.leaks.leaks_tables import (
        HEADER,
        figures,
        group_rows,
        pair_rows,
        summary,
    )
    from bmjax.data.open_images import read_catalog
    from bmjax.data.splits.make_split import make_split, split_digest
    from bmjax.files import write_csv, write_json

    exclude = [name for names in options.exclude for name in names.split(",")]
    catalog = read_catalog(options.root, exclude=exclude)
    split = make_split(
        catalog, name=options.split, fold=options.fold, seed=options.seed
    )
    similar = SIMILAR if options.similarity is None else options.similarity
    alike = _alike(options, catalog, split) if options.features else []
    found = audit(
        catalog,
        split,
        _hashes(options, catalog),
        similar=similar,
        candidates=_candidates(alike),
        threads=options.threads,
        progress=show_progress("pairs"),
    )
    suspects = _unconfirmed(alike, found.groups)
    counted = figures(catalog, found, suspects)
    print(summary(catalog, found, counted, suspects, examples=options.examples))
    about = {
        "data_fingerprint": catalog.fingerprint,
        "split": options.split,
        "fold": options.fold,
        "split_seed": options.seed,
        "split_digest": split_digest(catalog, split),
        "similarity": similar,
    }
    if options.json:
        _write(write_json, options.json, {**about, **counted})
    if options.csv:
        _write(write_csv, options.csv, HEADER, pair_rows(catalog, found, suspects))
    if options.groups:
        rows = group_rows(catalog, found)
        _write(write_csv, options.groups, ("path", "group"), rows)
    if leaking := counted["exact"] + counted["near"]:
        raise DataError(
            f"{leaking:,} of {counted['test']:,} test image(s) have a copy in the "
            "training part; remove one of each, or keep them together with "
            "--groups=FILE.csv and --config.data.split=FILE.csv"
        )


def _check(options: argparse.Namespace) -> None:
    for name in ("cosine", "similarity"):
        value = getattr(options, name)
        if value is not None and not 0 < value <= 1:
            raise ConfigError(f"--{name}={value} is out of range; give 0 to 1")
    for name in ("examples", "threads"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name}={getattr(options, name)}; give 0 or more")
    for name in ("json", "csv", "groups", "hashes"):
        path = getattr(options, name)
        if path is not None:
            check_place(f"--{name}", path)
    for name, suffix in (("groups", ".csv"), ("hashes", ".npz")):
        path = getattr(options, name)
        if path is not None and path.suffix != suffix:
            raise ConfigError(f"--{name}={str(path)!r} should end in {suffix}")


def _hashes(options: argparse.Namespace, catalog):
    from bmjax.data.leaks.hashes import hash_images, read_hashes, write_hashes

    if options.hashes:
        kept = read_hashes(options.hashes, catalog.fingerprint)
        if kept is not None:
            return kept
    progress = show_progress("images")
    hashes = hash_images(catalog, threads=options.threads, progress=progress)
    if options.hashes:
        _write(write_hashes, options.hashes, hashes, catalog.fingerprint)
    return hashes


def _alike(options: argparse.Namespace, catalog, split) -> list[tuple[int, int, float]]:
    """Training and test images whose features are alike, and their cosine."""
    from bmjax.data.leaks.suspects import Features, alike

    features = Features(options.features, catalog, split)
    progress = show_progress("test features")
    return [
        (int(train), int(test), float(cosine))
        for part in alike(features, cosine=options.cosine, progress=progress)
        for train, test, cosine in zip(*part, strict=True)
    ]


def _candidates(alike: list[tuple[int, int, float]]) -> list:
    import numpy as np

    from bmjax.data.leaks.suspects import in_every_symmetry

    if not alike:
        return []
    train, test, _ = zip(*alike, strict=True)
    return [in_every_symmetry(np.array(train), np.array(test))]


def _unconfirmed(alike: list[tuple[int, int, float]], groups) -> list:
    from bmjax.data.leaks.leaks_tables import Suspect

    left = [Suspect(*pair) for pair in alike if groups[pair[0]] != groups[pair[1]]]
    return sorted(left, key=lambda suspect: -suspect.cosine)


def _write(write: Callable, path: Path, *content: Any) -> None:
    try:
        write(path, *content)
    except OSError as error:
        raise ConfigError(
            f"{str(path)!r} cannot be written: {error.strerror}; give another place"
        ) from None
