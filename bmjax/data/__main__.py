"""Work on data: `python -m bmjax.data COMMAND`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from bmjax.console.command import leave, run_command
from bmjax.console.progress import show_progress
from bmjax.data.leaks.leaks_command import add_leaks
from bmjax.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    return run_command(lambda: options.run(options))


_VERIFY = """\
Read every file of a folder of images once, change nothing, and say what is wrong.

A folder most of whose class folders have the release's abbreviations is held against
the release of Matek et al. 2021 (171,374 images, 21 classes, Table 1 of the paper).
What is read is what training reads; links are followed, except in a circle. Exit code:
0 clean, 3 problems found, 2 an argument that cannot be right, 75 stopped by SIGTERM,
130 by Ctrl-C."""

_VERIFY_KINDS = """\
problems, everywhere:
  unreadable empty not_an_image truncated damaged bomb reported_garbled misnamed
  hostile_name unknown_class empty_class outside_classes other_format part_of_data
  twin_classes broken_link link_loop not_a_file count same_bytes same_pixels
  same_picture_two_classes
suspicions, which count as problems:
  looks_garbled
problems in the release, notes in your own data, where training converts them:
  size grey cmyk sixteen_bit palette alpha rotated progressive trailing_bytes suffix
notes:
  stray hidden link_out linked_folder
FILE says of each kind what it means and what training does with such a file."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bmjax.data", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_verify(commands)
    add_leaks(commands)
    _add_folds(commands)
    _add_stats(commands)
    _add_prepare(commands)
    _add_synthesize(commands)
    return parser


def _add_synthesize(commands) -> None:
    command = commands.add_parser(
        "synthesize",
        help="write synthetic cells in the release's folder layout",
        description="Write synthetic cells of all 21 classes, with the release's long "
        "tail and folder layout, below a new folder.",
    )
    command.add_argument("out", metavar="OUT", help="the folder to make")
    command.add_argument(
        "--images", type=int, required=True, metavar="N", help="images in all"
    )
    command.add_argument("--seed", type=int, default=0, metavar="S", help="default: 0")
    command.set_defaults(run=_synthesize)


def _add_verify(commands) -> None:
    command = commands.add_parser(
        "verify",
        help="is a folder of images whole, and what it says it is?",
        description=_VERIFY,
        epilog=_VERIFY_KINDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("root", metavar="ROOT", help="folder of class folders")
    command.add_argument("--json", metavar="FILE", help="write the report here too")
    command.add_argument(
        "--own",
        action="store_true",
        help="your own data, even if its folders are named as the release's",
    )
    command.add_argument(
        "--accept",
        default="",
        metavar="KIND,KIND",
        help="kinds that are not to count as problems",
    )
    command.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one a core)"
    )
    command.set_defaults(run=_verify)


def _add_prepare(commands) -> None:
    command = commands.add_parser(
        "prepare",
        help="store images as a TensorFlow Datasets set (array_record)",
        description="Check every image below a folder and store the files, as they "
        "are, in a TensorFlow Datasets set (array_record, without TensorFlow) with its "
        "data card. Training from the set gives what training from the folder gives, "
        "to the last bit.",
    )
    command.add_argument("root", metavar="ROOT", help="the folder of class folders")
    command.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="the folder to make"
    )
    command.add_argument(
        "--on-bad-image",
        choices=("fail", "skip"),
        default="fail",
        help="stop at files that are no readable images, or leave them out "
        "(default: fail)",
    )
    _add_threads(command)
    command.set_defaults(run=_prepare)


def _add_stats(commands) -> None:
    command = commands.add_parser(
        "stats",
        help="mean and standard deviation of the channels",
        description="Mean and standard deviation of each channel over all images, as "
        "config.data.mean and config.data.std take them.",
    )
    _add_root(command)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="also write them to FILE"
    )
    _add_threads(command)
    command.set_defaults(run=_stats)


def _add_folds(commands) -> None:
    command = commands.add_parser(
        "folds",
        help="show a split class by class, or write it as a CSV or as lists",
        description="Show how many images of each class a split puts into its test "
        "part, with the digest that a run of it stores.",
    )
    _add_root(command)
    command.add_argument(
        "--split",
        required=True,
        metavar="NAME",
        help="holdout, kfold, blocks, dinobloom, a CSV of path,part or path,group, or "
        "a folder of lists",
    )
    command.add_argument(
        "--fold", type=int, metavar="N", help="one fold alone (default: all)"
    )
    command.add_argument(
        "--seed",
        type=int,
        default=42,
        metavar="S",
        help="config.data.split_seed (default: 42)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        help="write the fold (default: 0) as path,part; a split in itself",
    )
    command.add_argument(
        "--lists",
        type=Path,
        metavar="FOLDER",
        help="write all folds, or the one, as sorted lists of paths with their hashes "
        "(SHA256SUMS); a split in itself",
    )
    command.set_defaults(run=_folds)


def _add_root(command) -> None:
    command.add_argument(
        "root", metavar="ROOT", help="the folder of class folders, or a prepared set"
    )
    command.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="CLASS[,CLASS]",
        help="classes to leave out",
    )


def _add_threads(command) -> None:
    command.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="that decode (default: one for each core)",
    )


# Each command imports what it needs when it runs, so that --help answers at once.


def _synthesize(options: argparse.Namespace) -> None:
    from bmjax.data.synthetic import synthesize

    root = synthesize(
        options.out,
        images=options.images,
        seed=options.seed,
        progress=show_progress("images"),
    )
    print(root)


def _prepare(options: argparse.Namespace) -> None:
    from bmjax.data.prepared.prepare import prepare

    skip = options.on_bad_image == "skip"
    print(
        prepare(options.root, out=options.out, skip_bad=skip, threads=_threads(options))
    )


def _stats(options: argparse.Namespace) -> None:
    from bmjax.data.channel_stats import show_stats

    print(
        show_stats(
            options.root,
            exclude=_excluded(options),
            threads=_threads(options),
            out=options.json,
        )
    )


def _folds(options: argparse.Namespace) -> None:
    from bmjax.data.splits.split_table import show_folds

    print(
        show_folds(
            options.root,
            name=options.split,
            fold=options.fold,
            seed=options.seed,
            exclude=_excluded(options),
            out=options.out,
            lists=options.lists,
        )
    )


def _excluded(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(name for names in options.exclude for name in names.split(","))


def _threads(options: argparse.Namespace) -> int:
    if options.threads < 0:
        raise ConfigError(f"--threads={options.threads} is no number of threads")
    return options.threads


def _verify(options: argparse.Namespace) -> int:
    from bmjax.data.verify.verify_command import run

    return run(
        options.root,
        json=options.json,
        own=options.own,
        accept=options.accept,
        workers=options.workers,
    )


if __name__ == "__main__":
    leave(main())
