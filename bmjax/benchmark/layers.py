"""Where a network's time goes: its convolutions, shape by shape, forward and backward.

    python -m bmjax.benchmark.layers [--network=NAME] [--size=N] [--batch=N] [--turns=N]

prints docs/cpu-speed.md's tables for a network on this machine, in Markdown: what each
convolution takes by itself, in turns with the whole network and with a large matrix
product. It needs no data and no configuration.
"""

import argparse
from collections.abc import Sequence

from bmjax.console.command import leave, run_command
from bmjax.errors import DONE, ConfigError, check_known


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.benchmark.layers",
        description=__doc__.partition("\n\n")[0],
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--network", default="resnet50", metavar="NAME", help="(default: resnet50)")
    add("--size", type=int, default=112, metavar="N", help="pixels (default: 112)")
    add("--batch", type=int, default=16, metavar="N", help="images (default: 16)")
    add("--turns", type=int, default=5, metavar="N", help="of each (default: 5)")
    options = parser.parse_args(arguments)
    return run_command(lambda: _print_tables(options))


def _print_tables(options: argparse.Namespace) -> int:
    _check(options)
    from bmjax.devices.jax_setup import start_jax

    start_jax(devices=1)
    from bmjax.benchmark.layer_table import layer_tables
    from bmjax.benchmark.layer_times import measure_layers

    numbers = {"size": options.size, "batch": options.batch, "turns": options.turns}
    for line in layer_tables(measure_layers(options.network, **numbers)):
        print(line)
    return DONE


def _check(options: argparse.Namespace) -> None:
    from bmjax.models.resnet import RESNETS

    # The networks made of convolutions, whose times are taken here.
    check_known("--network", options.network, tuple(RESNETS.specs))
    for name in ("size", "batch", "turns"):
        if getattr(options, name) < 1:
            raise ConfigError(
                f"--{name}={getattr(options, name)} measures nothing; give 1 or more"
            )


if __name__ == "__main__":
    leave(main())
