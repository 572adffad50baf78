"""python -m bmjax.benchmark --config=configs/swav.py:small [--steps=N] [--out=FILE].

Measures the compiled train step on one repeated batch, and with --loop the training
loop on data beside it, in turns within one run, so that a machine that is busy for a
while is so for both. Overrides are those of `bmjax.main`. Without --loop no data are
needed: the batch is noise.

  --steps=N    steps in each turn (default 10)
  --turns=N    turns of each kind (default 5)
  --loop       also the loop: grain, decoding, put_batch, the step; it needs data
  --loader     the input alone instead: the pipeline beside a bare decode loop on the
               same files and threads, the augmentation on the device, index and memory
  --compare=torch  the step and inference beside the same in PyTorch, run by the
               interpreter that --python names
  --python=P   with --loader: also torch's DataLoader (Pillow, two workers), run by the
               interpreter P, which has torch and Pillow; "--python=python" for this one
  --out=FILE   add the figures to FILE, one JSON object a line
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bmjax.errors import BmjaxError, ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if {"--help", "-h"} & set(argv):
        print(__doc__)
        return 0
    try:
        options, rest = _options(argv)
        from bmjax.flags import read_flags

        with tempfile.TemporaryDirectory() as scratch:
            config, _ = read_flags([*rest, f"--workdir={scratch}"])
            from bmjax.runtime import start_jax

            start_jax(devices=config.mesh.devices)
            figures = _measure(options, config, Path(scratch))
    except BmjaxError as error:
        print(f"bmjax: {error}", file=sys.stderr)
        return error.exit_code
    for name, value in figures.items():
        shown = f"{value:,.4g}" if isinstance(value, float) else value
        print(f"{name:30s} {shown}")
    if options["out"]:
        with open(options["out"], "a") as file:
            file.write(json.dumps(figures) + "\n")
    return 0


def _measure(
    options: dict[str, str], config: ConfigDict, scratch: Path
) -> dict[str, Any]:
    steps, turns = int(options["steps"]), int(options["turns"])
    if options["compare"]:
        from bmjax.benchmark.compare import compare

        python = options["python"] or sys.executable
        return compare(config, scratch, steps=steps, turns=turns, python=python)
    if options["loader"]:
        from bmjax.benchmark.loader import measure_loader

        python = options["python"]
        return measure_loader(config, scratch, steps=steps, turns=turns, python=python)
    from bmjax.benchmark.measure import measure

    with_loop = bool(options["loop"])
    return measure(config, scratch, steps=steps, turns=turns, with_loop=with_loop)


def _options(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split our own options from those of the configuration."""
    options = dict.fromkeys(("loop", "loader", "compare", "python", "out"), "")
    options |= {"steps": "10", "turns": "5"}
    rest = []
    for argument in argv:
        name, _, value = argument.removeprefix("--").partition("=")
        if name in options and argument.startswith("--"):
            options[name] = value or "yes"
        else:
            rest.append(argument)
    for name in ("steps", "turns"):
        if not options[name].isdigit() or int(options[name]) < 1:
            raise ConfigError(
                f"--{name}={options[name]} is no number of {name}; give 1 or more"
            )
    return options, rest


if __name__ == "__main__":
    sys.exit(main())
