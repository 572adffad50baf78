"""`python -m bmjax.predict FOLDER --run=RUN --out=CSV`: a run applied to cells."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bmjax.console.progress import show_progress
from bmjax.errors import (
    DATA,
    DONE,
    INTERRUPTED,
    BmjaxError,
    ConfigError,
    DataError,
)
from bmjax.files import check_place

_DESCRIPTION = """\
Name every image below FOLDER with a trained run: one that learnt classes, or one that
was pretrained and has its linear classifier; or with a file that bmjax.export wrote of
the former. The CSV has the columns of a run's predictions.csv: path (below FOLDER),
label (the nearest folder around the image that has a class's name, else empty),
predicted, and a probability for each class. Paths that a spreadsheet would take for a
formula begin with "./". At the end the differential count is shown.

Exit codes: 0 done; 2 usage; 3 images: none, or some that could not be read, which are
named and left out, while all others are in the CSV (0 with --skip-bad); 5 checkpoint;
130 Ctrl-C, and no CSV is left."""


def main(arguments: list[str] | None = None) -> int:
    """Predict a folder; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _predict(options)
    except BmjaxError as error:
        print(f"bmjax: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"bmjax: stopped; {options.out} was not written", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.predict",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="images, in folders or not")
    add(
        "--run",
        type=Path,
        required=True,
        metavar="RUN",
        help="workdir of a trained run, or a .safetensors file of bmjax.export",
    )
    add("--out", type=Path, required=True, metavar="CSV", help="the table to write")
    add("--batch-size", type=int, default=64, metavar="B", help="default: 64")
    add("--devices", type=int, default=0, metavar="N", help="default: all there are")
    add("--threads", type=int, default=0, metavar="N", help="default: one per core")
    add("--skip-bad", action="store_true", help="unreadable images are no failure")
    add("--force", action="store_true", help="replace CSV")
    return parser


def _predict(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.predict.read_images import find_images

    folder = options.folder.expanduser()
    paths = find_images(folder)

    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=options.devices)
    from bmjax.devices.mesh import make_mesh
    from bmjax.predict.differential import NOT_A_DEVICE, differential
    from bmjax.predict.predict_folder import predict_folder
    from bmjax.predict.source import read_predictor

    mesh = make_mesh(options.devices)
    if options.batch_size % mesh.size:
        raise ConfigError(
            f"--batch-size={options.batch_size} does not divide by {mesh.size} devices;"
            f" use a multiple of {mesh.size}, or --devices=1"
        )
    predictor = read_predictor(options.run.expanduser(), mesh)
    print(f"{len(paths):,} images; {predictor.name}")
    found = predict_folder(
        folder,
        paths,
        predictor,
        options.out,
        batch_size=options.batch_size,
        threads=options.threads,
        complain=lambda sentence: print(f"bmjax: {sentence}", file=sys.stderr),
        progress=show_progress("images"),
    )
    side = predictor.size
    if other := found.sizes.total() - found.sizes[side, side]:
        sizes = ", ".join(
            f"{width} x {height} ({count:,})"
            for (width, height), count in found.sizes.most_common(5)
        )
        more = ", ..." if len(found.sizes) > 5 else ""
        print(
            f"note: {other:,} image(s) are not {side} x {side} pixels, which the "
            f"network takes, and were resized; sizes: {sizes}{more}"
        )
    print("", *differential(predictor.classes, found.classes), "", sep="\n")
    if found.labelled:
        share = found.right / found.labelled
        print(
            f"{found.labelled:,} images lie in a folder of a class; "
            f"{found.right:,} of them ({share:.1%}) are called by it."
        )
        for sentence in _flattered(predictor, folder):
            print(sentence)
    print(NOT_A_DEVICE)
    print(options.out)
    if not found.failed or options.skip_bad:
        return DONE
    print(
        f"bmjax: {found.failed:,} image(s) could not be read and are not in "
        f"{str(options.out)!r}; replace or remove them, or give --skip-bad",
        file=sys.stderr,
    )
    return DATA


def _flattered(predictor: Any, folder: Path) -> Iterator[str]:
    """A note where images of the folder, as a data set, have been trained on."""
    import numpy as np

    from bmjax.data.images.folder import read_folder
    from bmjax.data.seen_images import catalog_hashes, shared_images

    try:
        catalog = read_folder(folder)
    except DataError:
        return
    if predictor.fingerprint and predictor.fingerprint == catalog.fingerprint:
        yield (
            "note: these are the images that it was trained and tested on, so this "
            "share flatters it; the run's report has the test part's"
        )
    elif predictor.seen is None:
        yield (
            "note: which images it was trained on is not known; if these are among "
            "them, this share flatters it"
        )
    else:
        positions = np.arange(len(catalog))
        shared = shared_images(predictor.seen, catalog_hashes(catalog, positions))
        if len(shared):
            yield (
                f"note: it was trained on {len(shared):,} of these images, so this "
                "share flatters it; the run's report has the test part's"
            )


def _check(options: argparse.Namespace) -> None:
    out = options.out
    if options.batch_size < 1:
        raise ConfigError(f"--batch-size={options.batch_size}; give 1 or more")
    for name in ("devices", "threads"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name}={getattr(options, name)}; give 0 or more")
    check_place("--out", out)
    if out.exists() and not options.force:
        raise ConfigError(
            f"--out={str(out)!r} is there already; give another name, or --force"
        )


if __name__ == "__main__":
    sys.exit(main())
