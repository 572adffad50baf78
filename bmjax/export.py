"""`python -m bmjax.export RUN --out=FILE.safetensors`: a run's network for others."""

import argparse
import sys
from pathlib import Path

from bmjax.console.command import run_command
from bmjax.errors import ConfigError
from bmjax.files import check_place


def main(arguments: list[str] | None = None) -> int:
    """Write the weights of a run's newest checkpoint; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.export",
        description="Write the network of a run as a .safetensors file under "
        "torchvision's names, with its classes, normalization and split in the "
        "metadata. --config.init_from takes it, and so does torch.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="workdir of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    options = parser.parse_args(arguments)
    return run_command(
        lambda: export(options.run, options.out, force=options.force),
        stopped=f"stopped; {options.out} was not written",
    )


def export(run: Path, out: Path, *, force: bool) -> None:
    """Write the weights of a run's newest checkpoint, and say what is in them.

    Raises:
        ConfigError: the folder is no run, or the file cannot be written or is there.
        CheckpointError: no checkpoint is whole.
    """
    if out.suffix != ".safetensors":
        raise ConfigError(f"--out={str(out)!r} should end in .safetensors")
    if out.exists() and not force:
        raise ConfigError(
            f"--out={str(out)!r} is there already; give another name, or --force"
        )
    check_place("--out", out)
    from bmjax.devices.mesh import make_mesh, replicated
    from bmjax.training.trained_network import read_run, write_file

    weights = read_run(run, replicated(make_mesh(1)))
    try:
        write_file(out, weights)
    except OSError as error:
        raise ConfigError(
            f"--out={str(out)!r} cannot be written: {error.strerror}; give another "
            "place"
        ) from None
    about = weights.about
    parts = ", ".join(sorted(weights.params))
    print(f"{out}: {about['network']} of {about['method']}, step {about['step']:,}")
    print(f"  holds {parts}; {out.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
