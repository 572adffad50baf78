"""`python -m bmjax.embed FOLDER --run=RUN --out=FILE`: features of new images."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bmjax
from bmjax.console.command import run_command
from bmjax.console.progress import show_progress
from bmjax.errors import DATA, DONE, ConfigError, DataError
from bmjax.files import check_place

if TYPE_CHECKING:
    from bmjax.data.find_images import Images
    from bmjax.encoder import Encoder

_SUFFIXES = (".npz", ".csv", ".parquet")
_DESCRIPTION = """\
Write the features of every image below FOLDER (JPEG, PNG, in folders or not), or of a
prepared set. FILE's ending says its kind:

  .npz      arrays path, label, features (float32 [n, F]) and metadata (JSON, text)
  .csv      columns path, label, f0, f1, ...; metadata in FILE.json
  .parquet  columns path, label, features (lists); metadata under the key "bmjax";
            needs pyarrow

label is the nearest folder around the image that has the name of one of the network's
classes, else empty. The metadata: network, size, mean, std, digest of the parameters,
bmjax's version.

Exit codes: 0 done; 2 usage; 3 images: none, or some that could not be read, which are
named and left out, while all others are in FILE (0 with --skip-bad); 5 weights; 130
Ctrl-C, and no FILE is left."""


def main(arguments: list[str] | None = None) -> int:
    """Write the features of a folder; return the exit code."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda: _embed(options), stopped=f"stopped; {options.out} was not written"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.embed",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="images, or a prepared set")
    add(
        "--run",
        type=Path,
        required=True,
        metavar="RUN",
        help="workdir of a run, or a file of weights (.safetensors, .pth)",
    )
    add("--network", default="", metavar="NAME", help="where the file says none")
    add("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    add("--batch-size", type=int, default=64, metavar="B", help="default: 64")
    add("--devices", type=int, default=0, metavar="N", help="default: all there are")
    add("--threads", type=int, default=0, metavar="N", help="default: one per core")
    add("--skip-bad", action="store_true", help="unreadable images are no failure")
    add("--force", action="store_true", help="replace FILE")
    return parser


def _embed(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.data.find_images import open_any_images

    folder = options.folder.expanduser()
    open_any_images(folder, ())  # before any work is done for it

    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=options.devices)
    from bmjax.encoder import load

    encoder = load(
        options.run,
        options.network,
        batch_size=options.batch_size,
        devices=options.devices,
        threads=options.threads,
    )
    images = open_any_images(folder, encoder.classes)
    print(f"{len(images.paths):,} images; {encoder.description}")
    failed = write_features(options.out, images, encoder)
    print(options.out)
    for note in images.notes:
        print(f"note: {note}", file=sys.stderr)
    unread = failed + images.other_formats
    if not unread or options.skip_bad:
        return DONE
    print(
        f"bmjax: {unread:,} image(s) could not be read and are not in "
        f"{str(options.out)!r}; replace or remove them, or give --skip-bad",
        file=sys.stderr,
    )
    return DATA


def write_features(out: Path, images: "Images", encoder: "Encoder") -> int:
    """Write the features of images to a file, a batch in memory at a time.

    Images that cannot be read are named on standard error and left out.

    Args:
        out: the file, .npz, .csv or .parquet; there whole, or not at all.
        images: to embed.
        encoder: that embeds them.

    Returns:
        how many images could not be read.

    Raises:
        DataError: not one can be read.
        ConfigError: the file cannot be written.
    """
    from bmjax.data.images.read_batches import read_batches
    from bmjax.embed.feature_files import open_feature_file

    progress = show_progress("images")
    failed = done = 0
    with open_feature_file(out, metadata(encoder)) as write:
        for batch in read_batches(
            images.paths,
            images.encoded,
            size=encoder.size,
            batch_size=encoder.step,
            threads=encoder.threads,
        ):
            for sentence in batch.failed:
                print(f"bmjax: {sentence}", file=sys.stderr)
            failed += len(batch.failed)
            if batch.positions:
                features = encoder.outputs(batch.pixels)["features"]
                write(
                    [images.paths[position] for position in batch.positions],
                    [images.label(position) for position in batch.positions],
                    features[: len(batch.positions)],
                )
            done += len(batch.positions)
            progress(done + failed, len(images.paths))
        if not done:
            raise DataError(
                f"not one of {failed:,} image(s) can be read; {str(out)!r} was not "
                "written"
            )
    return failed


def metadata(encoder: "Encoder") -> dict[str, Any]:
    """What a file of features says of where they come from."""
    return {
        "source": str(encoder.source),
        "network": encoder.network,
        "size": encoder.size,
        "mean": list(encoder.mean),
        "std": list(encoder.std),
        "params_sha256": encoder.digest,
        "classes": list(encoder.classes),
        "bmjax": bmjax.__version__,
    }


def _check(options: argparse.Namespace) -> None:
    out = options.out
    if options.batch_size < 1:
        raise ConfigError(f"--batch-size={options.batch_size}; give 1 or more")
    for name in ("devices", "threads"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name}={getattr(options, name)}; give 0 or more")
    if out.suffix not in _SUFFIXES:
        raise ConfigError(
            f"--out={str(out)!r} should end in one of {', '.join(_SUFFIXES)}"
        )
    if out.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise ConfigError(
                f"--out={str(out)!r} needs pyarrow, which is not installed; pip "
                "install pyarrow, or take .npz or .csv"
            ) from None
    check_place("--out", out)
    if out.exists() and not options.force:
        raise ConfigError(
            f"--out={str(out)!r} is there already; give another name, or --force"
        )


if __name__ == "__main__":
    sys.exit(main())
