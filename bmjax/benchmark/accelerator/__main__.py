"""An accelerator's first hour: checks and timings, on one page of figures.

    python -m bmjax.benchmark.accelerator --out=DIR [--parts=NAMES] [--minutes=N]
        [--scale=small|paper] [--golden=DIR] [--python=P]

runs part after part, each in a process of its own, and keeps what each measured in
DIR/parts. The same command again runs what is missing. DIR/accelerator.md is the page,
DIR/accelerator.json has every figure. docs/accelerators.md says what each part means.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bmjax.benchmark.accelerator.launch import (
    is_done,
    read_record,
    record_place,
    run_part,
)
from bmjax.benchmark.accelerator.page import render_page
from bmjax.benchmark.accelerator.plan import RUN_SCALES, Part, all_parts, choose
from bmjax.console.command import leave, run_command
from bmjax.errors import DONE, ConfigError
from bmjax.files import write_json, write_whole

_MACHINE = Part("machine", "machine", seconds=120)
_TERMINATED = 128 + signal.SIGTERM
_LEAST_SECONDS = {"small": 20, "paper": 90}  # left, for a part to be begun (ours)
_PROCESSORS_EACH = 4  # of parts that run side by side (ours)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(arguments)
    # So that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    command = " ".join(["python -m bmjax.benchmark.accelerator", *arguments])
    return run_command(lambda: _measure(options, command))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.benchmark.accelerator",
        description=__doc__.partition("\n\n")[0],
        epilog="Parts, in their order: " + ", ".join(p.name for p in all_parts()),
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="where all of it goes")
    add("--parts", default="", metavar="A,B", help="run these alone; * for anything")
    add(
        "--minutes",
        type=float,
        default=25.0,
        metavar="N",
        help="for all; the same command again runs the rest; 0: no end (default: 25)",
    )
    add("--scale", choices=RUN_SCALES, help="(default: small on a CPU, else paper)")
    add(
        "--golden",
        type=Path,
        default=Path(os.environ.get("BMJAX_GOLDEN", "tests/golden")),
        metavar="DIR",
        help="recorded numbers (default: $BMJAX_GOLDEN, or tests/golden)",
    )
    add(
        "--python",
        default="",
        metavar="P",
        help="an interpreter that has torch (default: this one)",
    )
    return parser


def _measure(options: argparse.Namespace, command: str) -> int:
    chosen = choose(all_parts(), options.parts)
    if options.minutes < 0:
        raise ConfigError(
            f"--minutes={options.minutes:g} is below 0; give 0 for no end"
        )
    end = time.monotonic() + (options.minutes * 60 if options.minutes else float("inf"))
    folder = options.out
    try:
        record_place(folder, "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out={str(folder)!r} cannot be made: {error.strerror}; give another"
        ) from None
    machine = _machine(folder, options.scale)
    more = {"golden": str(options.golden), "python": options.python}

    def run(part: Part) -> None:
        seconds = min(part.seconds, end - time.monotonic())
        record = read_record(folder, part.name)
        if is_done(record):
            return
        if reason := _lacking(part, machine):
            record = {"part": part.name, "scale": machine["scale"], "not_run": reason}
            write_json(record_place(folder, part.name), record)
        elif seconds < _LEAST_SECONDS[machine["scale"]]:
            _say(f"{part.name}: not run, the time is used up")
            return
        else:
            _say(f"{part.name}: begun")
            record = run_part(
                part, folder, scale=machine["scale"], more=more, seconds=seconds
            )
        _say(f"{part.name}: {_outcome(record)}")
        _write(folder, machine, command)

    for_all = [part for part in chosen if not part.timed]
    _side_by_side(run, for_all)
    for part in chosen:
        if part.timed:
            run(part)
    _write(folder, machine, command)
    _say(f"page: {folder / 'accelerator.md'}")
    return DONE


def _machine(folder: Path, scale: str | None) -> dict[str, Any]:
    """What the machine is; the folder's own, where it holds figures already.

    Raises:
        ConfigError: jax does not start, or the folder belongs to another machine.
    """
    before = read_record(folder, _MACHINE.name)
    record = run_part(
        _MACHINE, folder, scale=scale or "", more={}, seconds=_MACHINE.seconds
    )
    if "failed" in record:
        raise ConfigError(f"jax does not start here: {record['failed']}")
    on_cpu = record["platform"] == "cpu"
    record["scale"] = scale or ("small" if on_cpu else "paper")
    if before and "figures" in before:
        for key in ("device_kind", "scale"):
            if before[key] != record[key]:
                write_json(record_place(folder, _MACHINE.name), before)
                raise ConfigError(
                    f"--out={str(folder)!r} holds figures of {key} {before[key]!r}, "
                    f"this is {record[key]!r}; give another folder"
                )
    write_json(record_place(folder, _MACHINE.name), record)
    _say(f"{record['devices']} x {record['device_kind']}, scale {record['scale']}")
    return record


def _lacking(part: Part, machine: dict[str, Any]) -> str:
    """Why a part cannot run on so few devices; "" where it can."""
    there = machine["devices"]
    if part.devices == 1 or machine["platform"] == "cpu":
        return ""
    if there == 1:
        return "there is one device"
    exactly = part.kind == "step"  # others take as many as there are
    return f"there are {there} devices" if exactly and there < part.devices else ""


def _side_by_side(run: Callable[[Part], None], parts: Sequence[Part]) -> None:
    """Run parts that time nothing, several at once where there are processors."""
    at_once = max(1, (os.cpu_count() or 1) // _PROCESSORS_EACH)
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(run, part) for part in parts]:
            done.result()


def _outcome(record: dict[str, Any]) -> str:
    if "failed" in record:
        return f"failed: {record['failed']}"
    if "not_run" in record:
        return f"not run: {record['not_run']}"
    checks = record["figures"].get("checks", ())
    text = f"done in {record['seconds']:.0f} s"
    if checks:
        text += f", {sum(each['holds'] for each in checks)} of {len(checks)} hold"
    if rate := record["figures"].get("images_per_second"):
        text += f", {rate:,.0f} images/s"
    return text


def _write(folder: Path, machine: dict[str, Any], command: str) -> None:
    """The page and the file of figures, from all that is kept."""
    parts = all_parts()
    records = {part.name: read_record(folder, part.name) for part in parts}
    kept = {name: record for name, record in records.items() if record}
    write_json(
        folder / "accelerator.json",
        {"command": command, "machine": machine, "parts": kept},
    )
    write_whole(
        folder / "accelerator.md", render_page(machine, records, parts, command)
    )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    leave(main())
