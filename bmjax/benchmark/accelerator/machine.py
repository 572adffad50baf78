"""What the machine is: its devices, their memory, driver and processors."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax


def describe_machine(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Devices and driver, as far as they tell."""
    del task, scratch
    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "devices": len(devices),
        "memory_bytes": (devices[0].memory_stats() or {}).get("bytes_limit"),
        "compute_capability": str(getattr(devices[0], "compute_capability", "")),
        "driver": _ask_driver(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
    }


def _ask_driver() -> str:
    """Version of the driver, clocks and power limit, by nvidia-smi; "" without it."""
    query = "name,driver_version,memory.total,clocks.max.sm,power.limit"
    command = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(done.stdout.strip().splitlines())
