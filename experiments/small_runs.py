"""What the small experiments share: their runs, what is read of them, their pages."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bmjax.files import write_whole
from bmjax.main import main as run_main


def parser_of(name: str, description: str | None, out: Path) -> argparse.ArgumentParser:
    """The command line of an experiment, with --workdir and --out."""
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", required=True, type=Path, help="of the runs")
    parser.add_argument("--out", type=Path, default=out, help="of the results")
    return parser


def run_all(commands: Sequence[Sequence[str]]) -> int:
    """Make the runs that are not finished; return the first failure's exit code, or 0.

    Args:
        commands: arguments of bmjax.main, one run each.
    """
    for arguments in commands:
        if code := run_main(list(arguments)):
            return code
    return 0


def write_results(
    out: Path, stored: dict[str, Any], page: Callable[[dict[str, Any]], str]
) -> None:
    """Write figures.json and the page that it gives, RESULT.md; print the page."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "figures.json", json.dumps(stored, indent=1) + "\n")
    write_whole(out / "RESULT.md", page(stored))
    print(page(stored))


def described(results: dict[str, Any]) -> dict[str, Any]:
    """What figures.json says of the data and the code, from any run's results.json."""
    keys = ("network", "split", "fold", "n_train", "n_test", "data_fingerprint")
    versions = {key: results["versions"][key] for key in ("jax", "flax", "numpy")}
    return {key: results[key] for key in keys} | {"versions": versions}


def markdown_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
