"""`python -m bmjax.export RUN --out=FILE.safetensors`: a run's network for others.

--out=FILE.stablehlo: a program for jax alone, that takes pixels. --out=FILE.onnx: the
same as an ONNX graph.

With --check=FILE.json in place of --out: is a run or file of weights still the same?
With --check=FILE.onnx or FILE.stablehlo: does the program give its golden outputs?
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmjax.console.command import leave, run_command
from bmjax.console.notes import print_lines
from bmjax.errors import ConfigError
from bmjax.files import check_place, user_path

if TYPE_CHECKING:
    from bmjax.training.trained_network import Weights

PROGRAMS = (".stablehlo", ".onnx")


def main(arguments: list[str] | None = None) -> int:
    """Write the weights of a run's newest checkpoint; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.export",
        description="Write the network of a run as a .safetensors file, with its "
        "classes, normalization and split in the metadata. --config.init_from and "
        "bmjax.load take it in both layouts, and so does torch. FILE.stablehlo is a "
        "program of jax.export from uint8 pixels to features and probabilities, for "
        "cpu, cuda and tpu, with FILE.stablehlo.json about it and "
        "FILE.stablehlo.golden.npz to check it by; jax reads it for six months. "
        "FILE.onnx is the same as an ONNX graph, with the same two files beside it.",
    )
    parser.add_argument(
        "run",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="workdir of a run; with --check a file of weights too, and none is needed "
        "to check a program",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="FILE")
    what.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="FILE.json: write the SHA-256 of the parameters and the features of a "
        "fixed image where there is no FILE, else compare with it. FILE.onnx, "
        "FILE.stablehlo: run the program on the golden images beside it and compare "
        "the outputs; of this RUN, where it is given. Exit 5 where they differ",
    )
    parser.add_argument(
        "--layout",
        choices=("own", "timm"),
        default="own",
        help="names of the entries. own: the authors', of torchvision, SwAV, "
        "SupContrast, DINOv2 and DINOv3. timm: those that timm's model loads strictly, "
        "such as vit_small_patch14_dinov2 (of dinov2_vits14 and dinobloom_s), "
        "vit_small_patch14_reg4_dinov2, vit_small_patch16_dinov3_qkvb, and resnet50; "
        "without projection head and prototypes, and without DINOv3's periods, which "
        "timm computes anew",
    )
    parser.add_argument(
        "--adapters",
        action="store_true",
        help="write the low-rank adapters (config.lora) and heads alone, without the "
        "backbone; bmjax.load, embed and predict take the file as adapters of the "
        "weights that the run began with",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE")
    options = parser.parse_args(arguments)
    if options.adapters and (options.check or options.layout != "own"):
        parser.error("--adapters goes with --out and --layout=own")
    checks_program = options.check is not None and options.check.suffix in PROGRAMS
    if options.run is None and not checks_program:
        parser.error("the following arguments are required: RUN")
    is_program = options.out is not None and options.out.suffix in PROGRAMS
    if is_program and (options.adapters or options.layout != "own"):
        parser.error("--adapters and --layout go with --out=FILE.safetensors")
    if options.check:
        return run_command(lambda: check(options.run, options.check))
    return run_command(
        lambda: export(
            user_path("RUN", options.run),
            options.out,
            layout=options.layout,
            adapters=options.adapters,
            force=options.force,
        ),
        stopped=f"stopped; {options.out} was not written",
    )


def check(run: Path | None, file: Path) -> None:
    """Compare a program with its outputs, or weights with a record; say what is found.

    Args:
        run: workdir or file of weights; None only where `file` is a program.
        file: the program, or the record, which is begun where there is none.

    Raises:
        BmjaxError: as `check_program` and `check_weights_against`.
    """
    source = None if run is None else user_path("RUN", run)
    file = user_path("--check", file)
    if source is None or file.suffix in PROGRAMS:
        from bmjax.export.check_program import check_program

        print_lines(check_program(file, source))
    else:
        from bmjax.export.same_weights import check_weights_against

        print_lines(check_weights_against(source, file))


def export(
    run: Path,
    out: Path,
    *,
    layout: str = "own",
    adapters: bool = False,
    force: bool,
) -> None:
    """Write the weights of a run's newest checkpoint, and say what is in them.

    Args:
        run: workdir.
        out: the file.
        layout: names of the entries.
        adapters: write adapters and heads alone.
        force: replace the file.

    Raises:
        ConfigError: the folder is no run, or one without adapters that are asked for;
            or the file cannot be written or is there.
        CheckpointError: no checkpoint is whole.
    """
    if out.suffix not in (".safetensors", *PROGRAMS):
        raise ConfigError(
            f"--out={str(out)!r} should end in .safetensors, .stablehlo or .onnx"
        )
    if out.exists() and not force:
        raise ConfigError(
            f"--out={str(out)!r} is there already; give another name, or --force"
        )
    check_place("--out", out)
    if out.suffix in PROGRAMS:
        return _export_program(run, out)
    from bmjax.devices.mesh import make_mesh, replicated
    from bmjax.training.adapters import read_run_adapters
    from bmjax.training.trained_network import read_run, write_file

    read = read_run_adapters if adapters else read_run
    weights = read(run, replicated(make_mesh(1)))
    try:
        write_file(out, weights, layout=layout)
    except OSError as error:
        raise ConfigError(
            f"--out={str(out)!r} cannot be written: {error.strerror}; give another "
            "place"
        ) from None
    about = weights.about
    print_lines(
        f"{out}: {about['network']} of {about['method']}, step {about['step']:,}"
    )
    left_out = ("head", "prototypes") if layout == "timm" else ()
    parts = ", ".join(sorted(set(weights.params) - set(left_out)))
    print_lines(f"  holds {parts}; {out.stat().st_size / 1e6:,.1f} MB")
    if adapters:
        for line in _about_adapters(about):
            print_lines(line)
    if layout == "timm":
        from bmjax.models.weight_files.timm_layout import timm_model

        model = timm_model(about["network"]).replace("=N", f"={_classes(weights)}")
        print_lines(f"  loaded by {model or 'no model of timm of these sizes'}")


def _export_program(run: Path, out: Path) -> None:
    """Write a run's network as a program, with its golden outputs; say what it is."""
    from bmjax.encoder import load
    from bmjax.export.onnx_file import write_onnx
    from bmjax.export.stablehlo import write_stablehlo

    write = write_onnx if out.suffix == ".onnx" else write_stablehlo
    try:
        about = write(out, load(run, batch_size=1, devices=1))
    except OSError as error:
        raise ConfigError(
            f"--out={str(out)!r} cannot be written: {error.strerror}; give another "
            "place"
        ) from None
    print_lines(f"{out}: {about['network']}, {about['input']}")
    print_lines(
        f"  gives {', '.join(about['outputs'])}; {out.stat().st_size / 1e6:,.1f} MB"
    )
    if out.suffix == ".stablehlo":
        print_lines("  jax reads it for six months; keep the run, or its .safetensors")


def _about_adapters(about: dict[str, Any]) -> Iterator[str]:
    """Lines to print: which adapters these are, and of what."""
    lora, backbone = about["lora"], about["adapted_backbone"]
    yield (
        f"  adapters of rank {lora['rank']} on {', '.join(lora['layers'])}, times "
        f"{lora['alpha']:g} / {lora['rank']}"
    )
    origin = backbone["init_from"]
    yield (
        f"  of the backbone with SHA-256 {backbone['sha256'][:12]}"
        + (f" ({origin})" if origin else "")
    )
    if not origin:
        yield (
            "  note: the run began from chance, so that no file holds this backbone; "
            "without --adapters the whole network is exported"
        )


def _classes(weights: "Weights") -> int:
    """How many the classifier has; 0 without one."""
    return len(weights.params["fc"]["bias"]) if "fc" in weights.params else 0


if __name__ == "__main__":
    leave(main())
