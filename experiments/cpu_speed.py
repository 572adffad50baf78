"""Networks on this processor beside PyTorch, and the times of their convolutions.

    python -m experiments.cpu_speed --python=/path/to/python-with-torch

Each comparison is one call of `python -m bmjax.benchmark --compare=torch`, after one of
one turn that compiles its programs: a process that compiles them itself is slower than
one that takes them from the cache. Each table of layers is one call of `python -m
bmjax.benchmark.layers`. Nothing else should run meanwhile.
Writes speed.json and RESULT.md into experiments/2026-11-27-cpu-speed (or --out=FOLDER).
About 16 minutes on two cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.console.command import run_command
from bmjax.errors import ConfigError
from bmjax.files import write_json, write_whole
from bmjax.report.table_formats import Table, markdown_table

_OUT = Path(__file__).parent / "2026-11-27-cpu-speed"
LAYERS = ("resnet50", "resnext50_32x4d")


class Comparison(NamedTuple):
    """A network beside PyTorch's: its title, turns, and arguments of the benchmark."""

    title: str
    turns: int
    arguments: tuple[str, ...]


def _supervised(name: str, size: int) -> tuple[str, ...]:
    return (
        "--config=configs/supervised.py",
        f"--config.model.name={name}",
        f"--config.data.size={size}",
        "--config.data.batch_size=16",
    )


COMPARISONS = {
    "resnet50_112": Comparison("ResNet-50, 112 px", 11, _supervised("resnet50", 112)),
    "resnext50_112": Comparison(
        "ResNeXt-50, 112 px", 11, _supervised("resnext50_32x4d", 112)
    ),
    "vits14_224": Comparison(
        "ViT-S/14, 224 px, 8 images",
        9,
        (
            "--config=configs/vit.py",
            "--config.model.name=dinov2_vits14",
            "--config.model.drop_path=0.0",
            "--config.data.batch_size=8",
        ),
    ),
    "swav_112": Comparison(
        "SwAV on ResNet-50, two views of 112 px",
        7,
        (
            "--config=configs/swav.py",
            "--config.model.name=resnet50",
            "--config.data.size=112",
            "--config.augment.large_size=112",
            "--config.data.batch_size=16",
        ),
    ),
    "resnet50_224": Comparison("ResNet-50, 224 px", 5, _supervised("resnet50", 224)),
    "resnext50_224": Comparison(
        "ResNeXt-50, 224 px", 5, _supervised("resnext50_32x4d", 224)
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all, write both files, and return an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.cpu_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--python", required=True, help="interpreter that has torch")
    add("--out", type=Path, default=_OUT, help="of the results")
    options = parser.parse_args(arguments)
    return run_command(lambda: _measure_all(options))


def _measure_all(options: argparse.Namespace) -> None:
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        lines = Path(scratch) / "lines.jsonl"
        for name, comparison in COMPARISONS.items():
            for turns in (1, comparison.turns):
                _call(
                    "bmjax.benchmark",
                    *comparison.arguments,
                    "--steps=1",
                    f"--turns={turns}",
                    "--compare=torch",
                    f"--python={options.python}",
                    f"--out={lines}",
                )
            found[name] = json.loads(lines.read_text().splitlines()[-1])
    layers = {
        network: _call("bmjax.benchmark.layers", f"--network={network}").splitlines()
        for network in LAYERS
    }
    stored = {"comparisons": found, "layers": layers}
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "speed.json", stored)
    write_whole(options.out / "RESULT.md", speed_page(stored))


def _call(module: str, *arguments: str) -> str:
    """What a command prints; it is shown as well."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    if done.returncode:
        raise ConfigError(f"{module} ended with exit code {done.returncode}")
    return done.stdout


def speed_page(stored: dict[str, Any]) -> str:
    """RESULT.md: the comparisons, and each network's convolutions."""
    found = stored["comparisons"]
    first = next(iter(found.values()))
    versions = ", ".join(f"{name} {v}" for name, v in first["versions"].items())
    peer = ", ".join(f"{name} {v}" for name, v in first["peer"].items())
    rows = []
    for name, figures in found.items():
        for key, kind in (("train", "train step"), ("predict", "inference")):
            ratio = figures[f"{key}_over_torch"]
            spread = figures[f"{key}_over_torch_spread"]
            shares = (
                f"{figures[f'{side}{key}_peak_fraction']:.2f}"
                for side in ("", "torch_")
            )
            rows.append(
                (
                    f"{COMPARISONS[name].title}, {kind}",
                    str(figures["turns"]),
                    f"{figures[f'{key}_images_per_second']:.3g}",
                    f"{figures[f'torch_{key}_images_per_second']:.3g}",
                    f"{ratio:.2f} ({spread:.2f})",
                    *shares,
                )
            )
    caption = (
        "Medians of the turns; of the ratio, of neighboring turns, with its spread, "
        "(largest - smallest) / median, in parentheses. The shares are of the speed "
        "of a 2048 x 2048 matrix product on the same side, in useful operations"
    )
    columns = (
        "",
        "turns",
        "ours, images/s",
        "PyTorch, images/s",
        "ratio (spread)",
        "share of the product",
        "PyTorch's",
    )
    parts = [
        f"# Beside PyTorch: {first['processor']}",
        f"Written by `python -m experiments.cpu_speed`. {first['threads']} cores, "
        f"{versions}, {peer}, float32.",
        markdown_table(Table(caption, (), columns, tuple(rows))),
    ]
    for network, lines in stored["layers"].items():
        parts += [f"## {network}, 112 px, 16 images", "\n".join(lines).strip()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
