"""`python -m bmjax.few_labels SOURCE ... --out=DIR`: accuracy against labels."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines
from bmjax.console.progress import tracked
from bmjax.errors import DONE, ConfigError
from bmjax.files import (
    read_cache_note,
    user_path,
    write_cache_note,
    write_csv,
    write_json,
    writing,
)

if TYPE_CHECKING:
    import numpy as np

    from bmjax.run.common_split import CommonSplit
    from bmjax.run.labeled_fits import Draws

_DESCRIPTION = """\
How well are the classes told apart from 5, 10 or 50 labeled images each? For every
SOURCE, the workdir of a run or a file of weights, features of the training part are
taken as they are; a few images of each class are drawn, the same for all sources, and a
logistic regression that knows the labels of these alone is judged on the test part.

Images and split are those of the first run, or of --data where no SOURCE is a run.
DIR gets index.html (curves and tables), few_labels.json and .csv, draws.csv (which
images were drawn), and features/ and fitted/, which a second start goes on from.

Exit codes: 0 done; 2 usage, or a network that has seen test images; 3 images; 5
weights; 130 Ctrl-C."""

_DEFAULTS = ("holdout", 0, 42)  # split, fold, seed; configs/common.py's


def main(arguments: list[str] | None = None) -> int:
    """Write the learning curves of some networks; return the exit code."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: _few_labels(options),
        stopped="stopped; the same command goes on from what is finished",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.few_labels",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sources", nargs="+", type=Path, metavar="SOURCE", help="a run, or weights")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the page")
    add("--per-class", default="5,10,50,all", help="default: 5,10,50,all")
    add("--draws", type=int, default=5, metavar="N", help="default: 5")
    add("--seed", type=int, default=0, metavar="N", help="of the draws; default: 0")
    add("--network", default="", metavar="NAME", help="of files that do not say it")
    add("--data", type=Path, metavar="FOLDER", help="images, where no SOURCE is a run")
    add("--split", help="with --data; default: holdout")
    add("--fold", type=int, metavar="N", help="of the split; default: 0")
    add("--split-seed", type=int, metavar="N", help="of the split; default: 42")
    add("--exclude", metavar="CLASS,CLASS", help="with --data: classes to leave out")
    add("--batch-size", type=int, default=64, metavar="B", help="default: 64")
    add("--devices", type=int, default=0, metavar="N", help="default: all there are")
    add("--threads", type=int, default=0, metavar="N", help="default: one per core")
    return parser


class _Judged(NamedTuple):
    """A source's features, and what is said of them."""

    train: "np.ndarray"
    test: "np.ndarray"
    identity: dict[str, Any]  # which features these are; other ones, another identity
    about: dict[str, Any]


def _few_labels(options: argparse.Namespace) -> int:
    per_class = parse_per_class(options.per_class)
    _check(options)
    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=options.devices)
    from bmjax.report.label_curve_page import write_label_curves
    from bmjax.run import labeled_fits as fits
    from bmjax.run.common_split import refuse_unfit

    common = _common_split(options)
    for source in options.sources:
        refuse_unfit(source, common, print_lines)
    with writing("--out", options.out):
        for folder in ("features", "fitted"):
            (options.out / folder).mkdir(parents=True, exist_ok=True)
    draws = fits.draw_images(common, seed=options.seed, draws=options.draws)
    systems = _systems(options, common, draws, per_class)
    stored = fits.describe_curves(
        common, draws, per_class, seed=options.seed, systems=systems
    )
    write_json(options.out / "few_labels.json", stored)
    write_csv(
        options.out / "draws.csv",
        ("draw", "label", "number", "path"),
        fits.drawn_paths(common, draws, per_class),
    )
    write_csv(
        options.out / "few_labels.csv", fits.RESULT_COLUMNS, fits.result_rows(systems)
    )
    print_lines(str(write_label_curves(options.out, stored)))
    return DONE


def _systems(
    options: argparse.Namespace,
    common: "CommonSplit",
    draws: "Draws",
    per_class: Sequence[int | None],
) -> list[dict[str, Any]]:
    """Each source judged, as few_labels.json has it."""
    from bmjax.report.systems import names_apart
    from bmjax.run.common_split import training_of
    from bmjax.run.labeled_fits import label_curve

    systems = []
    names = names_apart(options.sources)
    for name, source in zip(names, options.sources, strict=True):
        judged = _features(source, name, common, options)
        training = training_of(source, common)
        results = label_curve(
            name,
            judged.train,
            judged.test,
            judged.identity,
            common=common,
            draws=draws,
            per_class=per_class,
            seed=options.seed,
            folder=options.out / "fitted",
            say=print_lines,
        )
        systems.append(
            {
                "name": name,
                "source": str(source),
                **judged.about,
                "labels": training.labels,
                "training": training.sentence,
                "results": results,
            }
        )
    return systems


def parse_per_class(text: str) -> tuple[int | None, ...]:
    """Labeled images per class, ascending; None for "all", which comes last.

    Raises:
        ConfigError: something else than whole numbers from 1, and "all".
    """
    words = [word.strip() for word in text.split(",")]
    counts = sorted({int(word) for word in words if word.isdecimal()})
    wrong = [w for w in words if not w.isdecimal() and w != "all"]
    if wrong or not words or 0 in counts:
        raise ConfigError(
            f"--per-class={text!r} should be whole numbers from 1, and all, such as "
            "5,10,50,all"
        )
    return (*counts, *([None] if "all" in words else []))


def _check(options: argparse.Namespace) -> None:
    """Raise ConfigError for what cannot be, before any work."""
    from bmjax.run.results_folder import check_given_once, check_results_folder

    for name, least in (("draws", 1), ("batch_size", 1), ("devices", 0), ("seed", 0)):
        if getattr(options, name) < least:
            option = name.replace("_", "-")
            raise ConfigError(
                f"--{option}={getattr(options, name)}; give {least} or more"
            )
    options.sources = [user_path("SOURCE", source) for source in options.sources]
    for source in options.sources:
        if not source.exists():
            raise ConfigError(
                f"{str(source)!r} does not exist; give the workdir of a run, or a file "
                "of weights"
            )
    check_given_once(options.sources)
    check_results_folder(options.out)


def _common_split(options: argparse.Namespace) -> "CommonSplit":
    """The images and their split, of the first run or as the options say."""
    from bmjax.run.common_split import folder_split, run_split
    from bmjax.run.workdir import excluded

    asked = (options.split, options.fold, options.split_seed)
    names = ("split", "fold", "split-seed", "exclude")
    given = [
        name
        for name, value in zip(names, (*asked, options.exclude), strict=True)
        if value is not None
    ]
    runs = [source for source in options.sources if source.is_dir()]
    folder = user_path("--data", options.data) if options.data else None
    if runs:
        if given:
            raise ConfigError(
                f"--{given[0]} is for weights alone; images and split are those of the "
                f"run {str(runs[0])!r}: leave --{given[0]} out"
            )
        return run_split(runs[0], folder)
    if folder is None:
        raise ConfigError(
            "--data is missing, and no SOURCE is a run; give the folder of images"
        )
    name, fold, seed = _DEFAULTS
    return folder_split(
        folder,
        name=name if options.split is None else options.split,
        fold=fold if options.fold is None else options.fold,
        seed=seed if options.split_seed is None else options.split_seed,
        exclude=excluded([options.exclude]) if options.exclude else (),
    )


def _features(
    source: Path, name: str, common: "CommonSplit", options: argparse.Namespace
) -> _Judged:
    """The features of both parts: a run's own where they hold, or the encoder's."""
    from bmjax.run.frozen_features import stored_features
    from bmjax.training.trained_network import about_source

    about = about_source(source)
    described = {"network": about.get("network"), "method": about.get("method")}
    if source.is_dir():
        sizes = {part: len(getattr(common.split, part)) for part in ("train", "test")}
        stored = stored_features(source, common.catalog.fingerprint, sizes)
        if stored:
            arrays, digest = stored
            print_lines(
                f"{name}: features {arrays['train'].shape[1]} wide, those of the run"
            )
            described |= {"features": "the run's", "width": arrays["train"].shape[1]}
            return _Judged(**arrays, identity={"run": digest}, about=described)
    return _computed(source, name, common, options, described)


def _computed(
    source: Path,
    name: str,
    common: "CommonSplit",
    options: argparse.Namespace,
    described: dict[str, Any],
) -> _Judged:
    """The encoder's features of both parts, from --out's cache if they are there."""
    import numpy as np

    from bmjax.data.pipeline import Replaced, evaluation_batches, next_of_class
    from bmjax.encoder import load
    from bmjax.evals.extract_features import extract_features
    from bmjax.run.labeled_fits import short_key
    from bmjax.training.trained_network import about_source

    said = about_source(source).get("network")
    encoder = load(
        source,
        "" if said else options.network,
        batch_size=options.batch_size,
        devices=options.devices,
    )
    identity = {
        "params_sha256": encoder.digest,
        "data_fingerprint": common.catalog.fingerprint,
        "split_digest": common.digest,
        **{key: getattr(encoder, key) for key in ("network", "size", "mean", "std")},
    }
    folder = options.out / "features" / short_key(identity)
    folder.mkdir(exist_ok=True)
    threads = options.threads or os.cpu_count() or 1
    limit = int(common.bad_share * len(common.split.train))
    replaced = Replaced(limit=limit, say=print_lines)
    loaded = encoder.loaded

    def features_of(pixels: Any) -> dict[str, Any]:
        found = loaded.from_pixels(*loaded.weights[:2], pixels)
        return {"features": found["features"]}

    arrays = {}
    for part, positions in common.split._asdict().items():
        path, note = folder / f"{part}.npy", folder / f"{part}.json"
        if read_cache_note(note) is None:  # the folder's name says of what they are
            print_lines(f"{name}: features of {len(positions):,} {part} images")
            batches = evaluation_batches(
                common.catalog,
                positions,
                size=encoder.size,
                batch_size=encoder.step,
                threads=threads,
                prefetch=threads,
                stand_ins=next_of_class(common.split.train, common.catalog.labels),
                replaced=replaced,
            )
            extract_features(
                features_of,
                tracked(batches, "batches", -(-len(positions) // encoder.step)),
                images=len(positions),
                mesh=loaded.mesh,
                path=path,
            )
            write_cache_note(note, [path.name], **identity)
        arrays[part] = np.load(path, mmap_mode="r")
    width = arrays["train"].shape[1]
    described |= {"network": encoder.network, "features": "computed", "width": width}
    return _Judged(**arrays, identity=identity, about=described)


if __name__ == "__main__":
    leave(main())
