"""PyTorch on the same device: channels last, mixed precision, compiled or not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from bmjax.benchmark.accelerator.configuration import part_config
from bmjax.benchmark.accelerator.outcome import NotRun
from bmjax.benchmark.against_torch import compare_with_torch

_STEPS = {"small": 2, "paper": 5}
_TURNS = {"small": 2, "paper": 5}
_ASK = "import torch; print(torch.cuda.is_available())"


def measure_torch(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Train step and inference on both sides, turn by turn."""
    import jax

    python, scale = task["python"] or sys.executable, task["scale"]
    cuda = jax.devices()[0].platform == "gpu"
    there = _ask(python)
    if not there or (cuda and there != "True"):
        needs = "torch with CUDA" if cuda else "torch"
        raise NotRun(f"{python} has no {needs}; give an interpreter with --python")
    options = task["options"]
    return compare_with_torch(
        part_config(task),
        scratch,
        steps=_STEPS[scale],
        turns=_TURNS[scale],
        python=python,
        device="cuda" if cuda else "cpu",
        precision=options["precision"],
        compiled=options["compiled"],
    )


def _ask(python: str) -> str:
    """Whether its torch sees a GPU, "True" or "False"; "" where there is no torch."""
    try:
        done = subprocess.run(
            [python, "-c", _ASK], capture_output=True, text=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
