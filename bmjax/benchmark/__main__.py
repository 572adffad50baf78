"""How fast a configuration is on this machine, and what its step is made of.

    python -m bmjax.benchmark --config=FILE [overrides] [--steps=N] [--turns=N]
                              [--loop | --saving | --loader | --compare=torch]
                              [--out=FILE]

times the compiled train step on one repeated batch of noise, in turns with a large
matrix product on the same devices. It needs no data: without config.data.root the
release's 21 classes and counts stand in. Overrides are those of `bmjax.main`.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmjax.console.command import leave, run_command
from bmjax.errors import DONE, ConfigError
from bmjax.files import check_place


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options, rest = _parser().parse_known_args(arguments)
    return run_command(lambda: _benchmark(options, rest))


def _benchmark(options: argparse.Namespace, rest: Sequence[str]) -> int:
    _check_options(options)
    from bmjax.run.command_line import read_flags

    with tempfile.TemporaryDirectory() as scratch:
        config, _ = read_flags([*rest, f"--workdir={scratch}"])
        from bmjax.devices.jax_setup import start_jax

        start_jax(devices=config.mesh.devices, precision=config.train.precision)
        figures = _measure(options, config, Path(scratch))
    _show(figures, options.out)
    return DONE


def _parser() -> argparse.ArgumentParser:
    from bmjax.benchmark.records import key_lines

    parser = argparse.ArgumentParser(
        prog="python -m bmjax.benchmark",
        usage="%(prog)s --config=FILE [--config.KEY=VALUE ...] [options]",
        description=__doc__.partition("\n\n")[0],
        epilog="Keys of the JSON line. Rates and ratios are medians over the turns; "
        "KEY_spread beside them is (largest - smallest) / median.\n"
        + "\n".join(key_lines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--steps", type=int, default=10, metavar="N", help="in a turn (default: 10)")
    add("--turns", type=int, default=5, metavar="N", help="of each kind (default: 5)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--loop",
        action="store_true",
        help="the training loop too: grain, decoding, transfer, step; on "
        "config.data.root, or on a few synthetic cells",
    )
    kind.add_argument(
        "--saving",
        action="store_true",
        help="what checkpoints cost instead: the training loop on noise with a save at "
        "the end of --steps beside one without, and the time that verifying takes",
    )
    kind.add_argument(
        "--loader",
        action="store_true",
        help="the input alone instead: the pipeline beside a bare decode loop on the "
        "same files and threads, the augmentation on the device, index and memory",
    )
    kind.add_argument(
        "--compare",
        choices=("torch",),
        help="train step and inference beside the same in PyTorch instead, in turns",
    )
    add(
        "--python",
        default="",
        metavar="P",
        help="an interpreter that has torch: with --loader, torch's DataLoader too "
        "(it wants Pillow there); with --compare, the other side (default: this one)",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="add the JSON line to FILE; without it the line is the last one printed",
    )
    return parser


def _check_options(options: argparse.Namespace) -> None:
    for name in ("steps", "turns"):
        if getattr(options, name) < 1:
            raise ConfigError(
                f"--{name}={getattr(options, name)} measures nothing; give 1 or more"
            )
    if options.out:
        check_place("--out", options.out)


def _measure(options: argparse.Namespace, config: Any, scratch: Path) -> dict[str, Any]:
    begun = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "steps": options.steps,
        "turns": options.turns,
    }
    numbers = {"steps": options.steps, "turns": options.turns}
    if options.compare:
        from bmjax.benchmark.against_torch import compare_with_torch

        python = options.python or sys.executable
        figures = compare_with_torch(config, scratch, python=python, **numbers)
    elif options.saving:
        from bmjax.benchmark.saving import measure_saving

        figures = measure_saving(config, scratch, say=_tell, **numbers)
    elif options.loader:
        from bmjax.benchmark.loader import measure_loader

        figures = measure_loader(config, scratch, python=options.python, **numbers)
    else:
        from bmjax.benchmark.measure import measure

        figures = measure(config, scratch, with_loop=options.loop, say=_tell, **numbers)
    from bmjax.benchmark.spread import NOISY, widest_rate

    return begun | figures | {"noisy": widest_rate(figures)[1] > NOISY}


def _show(figures: dict[str, Any], out: Path | None) -> None:
    """The table and the JSON line, and a word where the machine was not quiet."""
    from bmjax.benchmark.spread import NOISY, widest_rate
    from bmjax.benchmark.table import table

    print(table(figures))
    if figures["noisy"]:
        rate, spread = widest_rate(figures)
        print(
            f"\nnote: the turns of {rate} lie {spread:.0%} of their median apart, more "
            f"than {NOISY:.0%}: the machine was busy; stop what else runs, or take "
            "more --turns"
        )
    line = json.dumps(figures)
    if out is None:
        print(f"\n{line}")
        return
    try:
        with open(out, "a") as file:
            file.write(line + "\n")
    except OSError as error:
        raise ConfigError(
            f"--out={str(out)!r} cannot be written: {error.strerror}"
        ) from None
    print(f"\nadded to {out}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    leave(main())
