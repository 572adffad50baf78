"""`python -m bmjax.embed FOLDER --run=RUN --out=FILE`: features of new images."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import bmjax
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
from bmjax.files import user_path
from bmjax.parts.shared_parts import (
    PART_IMAGES,
    WorkPart,
    made_parts,
    paths_digest,
    split_work,
)

if TYPE_CHECKING:
    from bmjax.data.open_images import OpenedImages
    from bmjax.encoder import Encoder

_SUFFIXES = (".npz", ".csv", ".parquet")
_DESCRIPTION = """\
Write the features of every image below FOLDER (JPEG, PNG, in folders or not), or of a
prepared set. FILE's ending says its kind:

  .npz      arrays path, label, features (float32 [n, F]) and metadata (JSON, text)
  .csv      columns path, label, f0, f1, ...; metadata in FILE.json
  .parquet  columns path, label, features (lists); metadata under the key "bmjax";
            needs pyarrow

More than 16,384 images are written in parts, in FILE.partial. A command that was killed
goes on with what is left when it is given again; and the same command on several
machines that share the folder shares the parts.

label is the nearest folder around the image that has the name of one of the network's
classes, else empty. The metadata: network, pooling, interpolation, size, resize, mean,
std, digest of the parameters, bmjax's version.

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
    add_apply_options(
        parser,
        run="workdir of a run, or a file of weights (.safetensors, .pth)",
        out="FILE",
        folder="images, or a prepared set",
    )
    parser.add_argument(
        "--network", default="", metavar="NAME", help="where the file says none"
    )
    parser.add_argument(
        "--pooling",
        default="auto",
        metavar="NAME",
        help="of a vision transformer: cls, patch_mean, cls_patch_mean, "
        "cls4_patch_mean (default: as it was trained)",
    )
    parser.add_argument(
        "--interpolation",
        default="auto",
        metavar="NAME",
        help="of learned positions: offset, size_antialias, size (default: as it was "
        "trained)",
    )
    return parser


def _embed(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.data.open_images import open_any_images

    images = open_any_images(user_path("FOLDER", options.folder))

    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=options.devices)
    from bmjax.encoder import load

    encoder = load(
        options.run,
        options.network,
        batch_size=options.batch_size,
        devices=options.devices,
        threads=options.threads,
        pooling=options.pooling,
        interpolation=options.interpolation,
        adapters=options.adapters or "",
    )
    print_lines(f"{len(images.paths):,} images; {encoder.description}")
    if far := encoder.moments_note(images):
        print_note(far)
    failed = write_features(options.out, images, encoder)
    if failed is None:
        print_lines(f"{options.out} (written by another command that shared the work)")
        return DONE
    print_lines(str(options.out))
    return apply_exit_code(options, failed + images.other_formats, images.notes)


def write_features(
    out: Path, images: "OpenedImages", encoder: "Encoder", *, part: int = PART_IMAGES
) -> int | None:
    """Write the features of images to a file, a part in memory at a time.

    Images that cannot be read are named on standard error and left out.

    Args:
        out: the file, .npz, .csv or .parquet; there whole, or not at all.
        images: to embed.
        encoder: that embeds them.
        part: images that are lost at most where the command is killed.

    Returns:
        how many images could not be read; None where another command, which shared the
        parts, has written the file.

    Raises:
        DataError: not one can be read.
        ConfigError: the file cannot be written, or OUT.partial is another command's.
    """
    from bmjax.embed.feature_files import Write, open_feature_file

    total, progress = len(images.paths), show_progress("images")
    about = metadata(encoder)

    def embed(start: int, stop: int, write: Write) -> int:
        failed, chosen = 0, images.between(start, stop)

        def shown(count: int, of: int) -> None:
            progress(start + count, total)

        for batch, outputs in encoder.apply(chosen, complain=complain, progress=shown):
            failed += len(batch.failed)
            if batch.positions:
                at = [start + position for position in batch.positions]
                write(
                    [images.paths[position] for position in at],
                    [images.label(position, encoder.classes) for position in at],
                    outputs["features"][: len(at)],
                )
        return failed

    def check_any(failed: int) -> None:
        if failed == total:
            raise DataError(
                f"not one of {failed:,} image(s) can be read; {str(out)!r} was not "
                "written"
            )

    if total <= part:
        with open_feature_file(out, about) as write:
            failed = embed(0, total, write)
            check_any(failed)
        return failed

    def make(each: WorkPart) -> dict[str, Any]:
        with open_feature_file(each.path, {}) as write:
            return {"failed": embed(each.start, each.stop, write)}

    parts = split_work(out.with_name(out.name + ".partial"), total, part, ".npz")
    with made_parts(
        parts,
        {**about, "images_sha256": paths_digest(images.paths), "part": part},
        make,
        out=out,
        what="other images, weights or settings",
        known=lambda each: progress(each.stop, total),
    ) as notes:
        if notes is None:
            return None
        failed = sum(note["failed"] for note in notes)
        check_any(failed)
        with open_feature_file(out, about) as write:
            for each in parts:
                with np.load(each.path) as arrays:
                    if len(arrays["path"]):
                        names = arrays["path"].tolist()
                        write(names, arrays["label"].tolist(), arrays["features"])
    return failed


def metadata(encoder: "Encoder") -> dict[str, Any]:
    """What a file of features says of where they come from."""
    return {
        "source": str(encoder.source),
        **({"adapters": str(encoder.adapters)} if encoder.adapters else {}),
        "network": encoder.network,
        **encoder.feature_settings,
        "size": encoder.size,
        "resize": encoder.resize,
        "mean": list(encoder.mean),
        "std": list(encoder.std),
        "params_sha256": encoder.digest,
        "classes": list(encoder.classes),
        "bmjax": bmjax.__version__,
    }


def _check(options: argparse.Namespace) -> None:
    out = options.out
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
    check_apply_options(options)


if __name__ == "__main__":
    leave(main())
