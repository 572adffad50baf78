"""Frozen features of a whole part of the data, kept on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from bmjax.devices.mesh import put_batch


def extract_features(
    predict: Callable[[np.ndarray], dict[str, jax.Array]],
    batches: Iterator[tuple[dict[str, np.ndarray], int]],
    *,
    images: int,
    mesh: jax.sharding.Mesh,
    path: Path | None,
    embeddings_path: Path | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Run the network over every image once.

    Features go to a file that is then mapped, not loaded: memory stays bounded whatever
    the number of images. Of a bounded number they may stay in memory.

    Args:
        predict: pixels on the devices -> {"features" [B, F], maybe "logits" [B, N],
            maybe "embeddings" [B, D]}.
        batches: pairs of a full batch and how many of its rows count.
        images: how many rows there will be.
        mesh: the devices.
        path: of the .npy file to write; None: features stay in memory.
        embeddings_path: of another for the embeddings; not kept if not given.

    Returns:
        features, float32 [images, F], and logits, float32 [images, N] or None.
    """
    features, embeddings, logits, start = None, None, None, 0
    for batch, count in batches:
        outputs = jax.device_get(predict(put_batch(batch["pixels"], mesh)))
        rows = slice(start, start + count)
        if features is None:
            features = _mapped(path, images, outputs["features"])
            if embeddings_path is not None:
                embeddings = _mapped(embeddings_path, images, outputs["embeddings"])
            if "logits" in outputs:
                width = outputs["logits"].shape[-1]
                logits = np.empty((images, width), np.float32)
        features[rows] = outputs["features"][:count]
        if embeddings is not None:
            embeddings[rows] = outputs["embeddings"][:count]
        if logits is not None:
            logits[rows] = outputs["logits"][:count]
        start += count
    if start != images:
        raise AssertionError(f"{start} images were seen, {images} expected")
    for array in (features, embeddings):
        if isinstance(array, np.memmap):
            array.flush()
    return features, logits


def _mapped(path: Path | None, images: int, batch: np.ndarray) -> np.ndarray:
    """A file, or an array, of as many rows as images, each like those of the batch."""
    shape = (images, batch.shape[-1])
    if path is None:
        return np.empty(shape, np.float32)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
