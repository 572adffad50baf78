"""`python -m bmjax.predict FOLDER --run=RUN --out=CSV`: a run applied to cells."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bmjax.console.apply_options import (
    add_apply_options,
    apply_exit_code,
    check_apply_options,
    complain,
)
from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines, print_note
from bmjax.console.progress import show_progress
from bmjax.errors import DONE, ConfigError, DataError
from bmjax.evals.trust_defaults import DOUBTFUL_ERROR, SET_LEVEL
from bmjax.files import check_place, user_path

_DESCRIPTION = """\
Name every image below FOLDER with a trained run: one that learned classes, or one that
was pretrained and has its linear classifier; or with a file that bmjax.export wrote of
the former. The CSV has the columns of a run's predictions.csv: path (below FOLDER),
label (the nearest folder around the image that has a class's name, else empty),
predicted and a probability for each class. Where the run kept validation cells, the
probabilities are calibrated (--prior), and there are doubtful (1: the probability of
the predicted class is too low to keep --error) and set (the classes that the cell may
be of, by --set-level; docs/count.md); where its method has prototypes, the number of
the nearest prototype, as in its atlas.json, and the cosine; where it has a detector,
distance: how many per cent of the run's own cells are more like its training cells.
Paths that a spreadsheet would take for a formula begin with "./". At the end the
differential count is shown. More than 16,384 images are written in parts to
CSV.partial: where the command was killed, the same command goes on, and given on
several machines that share the folder it shares the parts.

Exit codes: 0 done; 2 usage; 3 images: none, or some that could not be read, which are
named and left out, while all others are in the CSV (0 with --skip-bad); 5 checkpoint;
130 Ctrl-C, and no CSV is left."""


def main(arguments: list[str] | None = None) -> int:
    """Predict a folder; return the exit code."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: _predict(options), stopped=f"stopped; {options.out} was not written"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.predict",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_apply_options(
        parser,
        run="workdir of a trained run, or a .safetensors file of bmjax.export",
        out="CSV",
        folder="images, in folders or not; a prepared set; one image; or a CSV with "
        "a column path",
    )
    parser.add_argument(
        "--prior",
        default="",
        metavar="train|even|FILE|none",
        help="calibrate the probabilities by the run's validation cells, for the "
        "class shares of the training part, for even ones, or for those of a CSV with "
        "the columns class and share; none: write those of the network itself, as in "
        "the run's predictions.csv (default: train, where the run has validation "
        "cells)",
    )
    parser.add_argument(
        "--error",
        type=float,
        metavar="E",
        help="share of wrong names among the cells that are not doubtful, kept on the "
        f"run's validation cells (default: {DOUBTFUL_ERROR:g}, where it has any)",
    )
    parser.add_argument(
        "--set-level",
        type=float,
        metavar="L",
        help="share of the cells of each class whose set holds it (default: "
        f"{SET_LEVEL:g}, likewise)",
    )
    parser.add_argument(
        "--explain",
        type=Path,
        metavar="FILE.html",
        help="write a page of the least sure cells and where the network looks: the "
        "class token's attention of a vision transformer, the class activation of a "
        "residual network",
    )
    parser.add_argument(
        "--explain-cells",
        type=int,
        default=60,
        metavar="N",
        help="on that page at most; default: 60",
    )
    return parser


def _predict(options: argparse.Namespace) -> int:
    check_apply_options(options)
    _check_explain(options)
    _check_shares(options)
    from bmjax.data.open_images import open_named_images

    folder = user_path("FOLDER", options.folder)
    images = open_named_images(folder)

    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=options.devices)
    from bmjax.devices.mesh import make_mesh
    from bmjax.encoder import load
    from bmjax.evals.detector_file import foreign_cells
    from bmjax.predict.cell_columns import read_columns
    from bmjax.predict.differential import NOT_A_DEVICE, differential, foreign_sentences
    from bmjax.predict.least_sure import LeastSure
    from bmjax.predict.nearest_prototype import prototypes_of
    from bmjax.predict.predict_folder import predict_folder

    devices = make_mesh(options.devices).size
    if options.batch_size % devices:
        raise ConfigError(
            f"--batch-size={options.batch_size} does not divide by {devices} devices;"
            f" use a multiple of {devices}, or --devices=1"
        )
    encoder = load(
        _source(user_path("--run", options.run), adapted=bool(options.adapters)),
        batch_size=options.batch_size,
        devices=options.devices,
        threads=options.threads,
        adapters=options.adapters or "",
    )
    encoder.check_classifier()
    if not encoder.classes:
        raise ConfigError(
            f"--run={str(options.run)!r} does not name the classes of its outputs; "
            "give a run, or a file that bmjax.export wrote"
        )
    own = "fc" in encoder.loaded.weights.params
    how = "its own classifier" if own else "linear classifier on its features"
    print_lines(f"{len(images.paths):,} images; {encoder.description}, {how}")
    columns = read_columns(
        user_path("--run", options.run),
        encoder.classes,
        options.prior,
        error=options.error,
        level=options.set_level,
        adapted=bool(options.adapters),
        digest=encoder.params_digest,
        prototypes=None if options.adapters else prototypes_of(encoder),
    )
    if columns.described:
        print_lines(f"probabilities are calibrated: {columns.described}")
    if far := encoder.moments_note(images):
        print_note(far)
    least_sure = LeastSure(options.explain_cells) if options.explain else None
    predicted = predict_folder(
        folder,
        images,
        encoder,
        options.out,
        complain=complain,
        progress=show_progress("images"),
        columns=columns,
        least_sure=least_sure,
    )
    if predicted is None:
        print_lines(f"{options.out} (written by another command that shared the work)")
        return DONE
    side = encoder.size
    if other := predicted.sizes.total() - predicted.sizes[side, side]:
        sizes = ", ".join(
            f"{width} x {height} ({count:,})"
            for (width, height), count in predicted.sizes.most_common(5)
        )
        more = ", ..." if len(predicted.sizes) > 5 else ""
        print_lines(
            f"note: {other:,} image(s) are not {side} x {side} pixels, which the "
            f"network takes, and were resized; sizes: {sizes}{more}"
        )
    print_lines("", *differential(encoder.classes, predicted.classes), "")
    if predicted.labeled:
        share = predicted.correct / predicted.labeled
        print_lines(
            f"{predicted.labeled:,} images lie in a folder of a class; "
            f"{predicted.correct:,} of them ({share:.1%}) are predicted as it."
        )
        for sentence in _flattered(encoder, folder):
            print_lines(sentence)
    if columns.detector is not None:
        cells = predicted.classes.total()
        found = foreign_cells(predicted.foreign, cells)
        print_lines(*foreign_sentences(found, columns.detector.scored_on))
    if columns.trust is not None:
        cells, error = predicted.classes.total(), columns.trust.error
        print_lines(
            f"{predicted.doubtful:,} of {cells:,} names are doubtful: the others are "
            f"wrong on at most {error:.3g} of cells drawn as the validation cells were"
            if columns.trust.threshold is not None
            else f"All names are doubtful: no probability keeps wrong names below "
            f"{error:.3g} on the validation cells"
        )
    print(NOT_A_DEVICE)
    print_lines(str(options.out))
    if least_sure is not None:
        least_sure.write(options.explain, encoder, predicted.classes.total())
        print_lines(str(options.explain))
    unread = predicted.failed + images.other_formats
    return apply_exit_code(options, unread, images.notes)


def _check_explain(options: argparse.Namespace) -> None:
    """Raise ConfigError where the page cannot be written, before any work."""
    page = options.explain
    if page is None:
        return
    if options.explain_cells < 1:
        raise ConfigError(f"--explain-cells={options.explain_cells}; give 1 or more")
    if page.suffix != ".html":
        raise ConfigError(f"--explain={str(page)!r} should end in .html")
    check_place("--explain", page)
    if page.exists() and not options.force:
        raise ConfigError(
            f"--explain={str(page)!r} is there already; give another name, or --force"
        )


def _check_shares(options: argparse.Namespace) -> None:
    """Raise ConfigError for shares that are none."""
    for name, value in (("error", options.error), ("set-level", options.set_level)):
        if value is not None and not 0 < value < 1:
            raise ConfigError(f"--{name}={value:g}; give a share between 0 and 1")


def _source(run: Path, *, adapted: bool) -> Path:
    """What --run may be, of all that `load` takes: all of it below adapters."""
    if adapted:
        return run
    if not run.is_dir() and (run.suffix != ".safetensors" or not run.is_file()):
        raise ConfigError(
            f"--run={str(run)!r} is neither a run's folder nor a .safetensors file"
        )
    return run


def _flattered(encoder: Any, folder: Path) -> Iterator[str]:
    """A note where images of the folder, as a data set, have been trained on."""
    import numpy as np

    from bmjax.data.open_images import read_catalog
    from bmjax.data.seen_images import catalog_hashes, shared_images

    try:
        catalog = read_catalog(folder, say=lambda note: None)
    except DataError:
        return
    if encoder.data_fingerprint and encoder.data_fingerprint == catalog.fingerprint:
        yield (
            "note: these are the images that it was trained and tested on, so this "
            "share flatters it; the run's report has the test part's"
        )
    elif encoder.seen is None:
        yield (
            "note: which images it was trained on is not known; if these are among "
            "them, this share flatters it"
        )
    else:
        positions = np.arange(len(catalog))
        shared = shared_images(encoder.seen, catalog_hashes(catalog, positions))
        if len(shared):
            yield (
                f"note: it was trained on {len(shared):,} of these images, so this "
                "share flatters it; the run's report has the test part's"
            )


if __name__ == "__main__":
    leave(main())
