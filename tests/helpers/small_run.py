"""A finished run of a smoke configuration on some synthetic cells."""

from pathlib import Path
from typing import NamedTuple

from bmjax.data.synthetic import synthesize
from bmjax.main import main


class SmallRun(NamedTuple):
    workdir: Path
    cells: Path


def small_run(folder: Path, config: str, *more: str) -> SmallRun:
    cells = synthesize(folder / "cells", images=230, seed=0)
    workdir = folder / "run"
    command = [
        f"--config={config}:smoke",
        f"--workdir={workdir}",
        f"--config.data.root={cells}",
        "--config.mesh.devices=1",
        *more,
    ]
    assert main(command) == 0
    return SmallRun(workdir, cells)
