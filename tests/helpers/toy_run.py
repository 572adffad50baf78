"""A run of a shipped configuration's smoke variant, built without any images."""

import importlib
from pathlib import Path

import numpy as np

from bmjax.data.images.catalog import Catalog
from bmjax.run.build import BuiltRun, batch_shapes, build
from bmjax.run.run_settings import read_config

CLASSES, EACH = ("A", "B", "C"), 20  # images


def toy_catalog() -> Catalog:
    return Catalog(
        root=Path("(no images)"),
        paths=tuple(f"{name}/{i:02d}.jpg" for name in CLASSES for i in range(EACH)),
        labels=np.repeat(np.arange(len(CLASSES), dtype=np.int32), EACH),
        classes=CLASSES,
        fingerprint="toy",
    )


def toy_run(name: str, **changes) -> BuiltRun:
    """Build one; changes are by key, as `toy_run("swav", **{"mesh.devices": 4})`."""
    config = importlib.import_module(f"configs.{name}").get_config("smoke")
    config.mesh.devices = 1
    config.update_from_flattened_dict(changes)
    return build(read_config(config), Path("nowhere"), toy_catalog())


def shapes_of(run: BuiltRun):
    """The shapes of a batch of a run."""
    return batch_shapes(run.settings.data, run.mesh)
