"""Evaluation, validation and training see the same pixels."""

import importlib

import numpy as np

from bmjax.data.images.decode import read_pixels
from bmjax.data.pipeline import Replaced
from bmjax.data.synthetic import synthesize
from bmjax.run.build import build
from bmjax.run.frozen_features import run_batches
from bmjax.run.run_settings import read_config


def test_images_are_resized_by_the_kernel_of_the_run(tmp_path):
    config = importlib.import_module("configs.supervised").get_config("smoke")
    config.data.root = str(synthesize(tmp_path / "cells", images=210, seed=0))
    config.data.resize = "bilinear"
    config.data.batch_size = 2
    config.mesh.devices = 1
    run = build(read_config(config), tmp_path)
    catalog, size = run.data.catalog, run.settings.data.size
    positions = run.data.split.test[:2]
    ((batch, images),) = run_batches(
        run.data, run.settings.data, positions, Replaced(limit=0)
    )
    assert images == 2
    for pixels, position in zip(batch["pixels"], positions, strict=True):
        path = catalog.root / catalog.paths[position]
        expected = read_pixels(path, size=size, resize="bilinear")
        np.testing.assert_array_equal(pixels, expected)
        assert (expected != read_pixels(path, size=size)).any()
