"""Work on data: `python -m bmjax.data COMMAND`."""

import argparse
import sys
from collections.abc import Sequence

from bmjax.data.leaks_command import add_leaks
from bmjax.errors import DONE, BmjaxError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except BmjaxError as error:
        print(f"bmjax: {error}", file=sys.stderr)
        return error.exit_code
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bmjax.data", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
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
    add_leaks(commands)
    return parser


# Each command imports what it needs when it runs, so that --help answers at once.


def _synthesize(options: argparse.Namespace) -> None:
    from bmjax.data.synthetic import synthesize

    root = synthesize(
        options.out, images=options.images, seed=options.seed, progress=_show_progress
    )
    print(root)


def _show_progress(done: int, total: int) -> None:
    """Keep one line of the terminal up to date; say nothing into a pipe or a log."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} images", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
