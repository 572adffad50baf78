"""Small trees of images, and one of them as a prepared set."""

import os
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from bmjax.data.prepared.prepare import prepare

NAMES = [
    "BLA/0001-1000/BLA_00002.jpg",
    "BLA/0001-1000/BLA_00001.jpg",
    "BLA/1001-2000/BLA_01001.jpg",
    "ABE/ABE_00001.png",
    "ABE/ABE_00002.JPG",
    "WBC/sub/a.jpeg",
]


def write_tree(root, names=NAMES, size=12):
    random = np.random.Generator(np.random.PCG64(0))
    for name in names:
        path = Path(os.path.join(root, name))
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (size, size, 3), np.uint8)
        _, encoded = cv2.imencode(path.suffix or ".jpg", pixels)
        path.write_bytes(encoded.tobytes())
    return root


def prepare_in_shards(tree, out):
    """Prepare a small tree as a set of several shards."""
    with mock.patch("bmjax.data.prepared.prepare.SHARD_BYTES", 1500):
        prepare(str(tree), out=out)
    assert len(list(out.glob("*.array_record-*"))) > 1
    return out
