"""One part, in a process of its own. Started by `bmjax.benchmark.accelerator.launch`.

Writes what it measured, with the devices, versions and flags, as JSON to --out.
"""

import argparse
import importlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bmjax.benchmark.accelerator.outcome import NotRun
from bmjax.console.command import leave, run_command
from bmjax.errors import DONE
from bmjax.files import write_json

_PACKAGE = "bmjax.benchmark.accelerator"
# Module and function that measure a part of each kind: function(options, scratch).
_KINDS = {
    "machine": ("machine", "describe_machine"),
    "golden": ("golden", "check_golden"),
    "products": ("numerics", "check_products"),
    "bfloat16": ("numerics", "check_bfloat16"),
    "devices": ("sharding", "check_devices"),
    "resume": ("resume", "check_resume"),
    "predictions": ("predicted_steps", "count_work"),
    "step": ("steps", "measure_step"),
    "lowerings": ("lowerings", "measure_lowerings"),
    "collectives": ("sharding", "measure_collectives"),
    "torch": ("torch_beside", "measure_torch"),
}
_WITHOUT_JAX = ("resume",)  # a process beside theirs would hold the device's memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part and return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {_PACKAGE}.part")
    parser.add_argument("--task", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    return run_command(lambda: _run(json.loads(options.task), options.out))


def _run(task: dict[str, Any], out: Path) -> int:
    module, function = _KINDS[task["kind"]]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if task["cold"]:
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(scratch / "cache")
        started = time.perf_counter()
        record: dict[str, Any] = {
            "part": task["name"],
            "options": task["options"],
            "scale": task["scale"],
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
        }
        if task["kind"] not in _WITHOUT_JAX:
            record |= _start(task)
        measure = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), function)
        try:
            record["figures"] = measure(task, scratch)
        except NotRun as reason:
            record["not_run"] = str(reason)
        record["seconds"] = time.perf_counter() - started
    write_json(out, record)
    return DONE


def _start(task: dict[str, Any]) -> dict[str, Any]:
    """Start jax as the part wants it, and say on what it runs."""
    from bmjax.devices.jax_setup import start_jax, versions

    precision = task["options"].get("precision", "default")
    start_jax(
        devices=task["devices"],
        precision="default" if precision == "bfloat16" else precision,
    )
    import jax

    there = jax.devices()
    return {
        "platform": there[0].platform,
        "device_kind": there[0].device_kind,
        "devices": len(there),
        "versions": versions(),
    }


if __name__ == "__main__":
    leave(main())
