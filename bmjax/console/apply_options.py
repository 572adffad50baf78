"""What the commands share that apply a trained network to the images of a folder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bmjax.console.escape import on_one_line
from bmjax.console.notes import print_note
from bmjax.errors import DATA, DONE, ConfigError
from bmjax.files import check_place


def add_apply_options(
    parser: argparse.ArgumentParser, *, run: str, out: str, folder: str
) -> None:
    """Add FOLDER, --run, --adapters, --out and how it is done.

    Args:
        parser: of the command.
        run: help on --run.
        out: what --out is called, as "CSV".
        folder: help on FOLDER.
    """
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help=folder)
    add("--run", type=Path, required=True, metavar="RUN", help=run)
    add(
        "--adapters",
        type=Path,
        metavar="FILE.safetensors",
        help="of bmjax export RUN --adapters; --run is then what they were trained "
        "beside",
    )
    add("--out", type=Path, required=True, metavar=out, help="the file to write")
    add_image_options(parser)
    add("--force", action="store_true", help=f"replace {out}")


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add how images are read and go through the network."""
    add = parser.add_argument
    add("--batch-size", type=int, default=64, metavar="B", help="default: 64")
    add("--devices", type=int, default=0, metavar="N", help="default: all there are")
    add("--threads", type=int, default=0, metavar="N", help="default: one per core")
    add("--skip-bad", action="store_true", help="unreadable images are no failure")


def check_image_options(options: argparse.Namespace) -> None:
    """Raise ConfigError for numbers that cannot be, before any work."""
    if options.batch_size < 1:
        raise ConfigError(f"--batch-size={options.batch_size}; give 1 or more")
    for name in ("devices", "threads"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name}={getattr(options, name)}; give 0 or more")


def check_apply_options(options: argparse.Namespace) -> None:
    """Raise ConfigError for numbers and places that cannot be, before any work."""
    check_image_options(options)
    check_place("--out", options.out)
    if options.out.exists() and not options.force:
        raise ConfigError(
            f"--out={str(options.out)!r} is there already; give another name, or "
            "--force"
        )


def complain(sentence: str) -> None:
    """Print why an image is left out."""
    print(f"bmjax: {on_one_line(sentence)}", file=sys.stderr)


def apply_exit_code(
    options: argparse.Namespace, unread: int, notes: Sequence[str]
) -> int:
    """Say what was passed over, and return the command's exit code.

    Args:
        options: of the command.
        unread: images that are not in the output.
        notes: sentences on what was passed over.
    """
    for note in notes:
        print_note(note)
    if not unread or options.skip_bad:
        return DONE
    complain(
        f"{unread:,} image(s) could not be read and are not in {str(options.out)!r}; "
        "replace or remove them, or give --skip-bad"
    )
    return DATA
