"""The TensorFlow Datasets builder of a prepared set; TensorFlow itself is never needed.

Built shard by shard: the builder that shuffles wants TensorFlow as soon as it holds a
gigabyte, and a catalog's order is what training draws from.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from bmjax.data.images.catalog import Catalog

SPLIT = "train"  # the name TFDS gives to a set that is not split


class BoneMarrow(tfds.core.ShardBasedBuilder):
    """Images as they are, with their class and their path."""

    VERSION = tfds.core.Version("1.0.0")
    url_infos: ClassVar[dict] = {}  # nothing to download, so no checksums to look for

    def __init__(
        self,
        *,
        catalog: Catalog,
        read: Callable[[int], bytes],
        shards: int,
        texts: dict[str, str],
        **more: Any,
    ):
        """Take the images and how one of them is read.

        Args:
            catalog: the images.
            read: from a position to the file's bytes.
            shards: files to write; TFDS holds one of them in memory.
            texts: description, homepage, citation, license of `tfds.core.DatasetInfo`.
            more: for TFDS.
        """
        self._catalog, self._read = catalog, read
        self._shards, self._texts = shards, texts
        super().__init__(file_format="array_record", **more)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(
                        names=[printable(name) for name in self._catalog.classes]
                    ),
                    "path": tfds.features.Text(),
                }
            ),
            **self._texts,
        )

    def _shard_iterators_per_split(self, dl_manager) -> dict[str, Sequence[Callable]]:
        del dl_manager  # the images are at hand
        parts = np.array_split(np.arange(len(self._catalog)), self._shards)
        return {SPLIT: [self._shard(positions) for positions in parts]}

    def _shard(self, positions: np.ndarray) -> Callable[[], Iterator[tuple[int, dict]]]:
        def examples() -> Iterator[tuple[int, dict]]:
            for position in positions.tolist():
                yield (
                    position,
                    {
                        "image": self._read(position),
                        "label": int(self._catalog.labels[position]),
                        "path": os.fsencode(self._catalog.paths[position]),
                    },
                )

        return examples


def printable(name: str) -> str:
    """A name on one line of any terminal or file; no two names become one."""
    return "".join(
        letter
        if letter.isprintable() and letter != "\\"
        else letter.encode("unicode_escape", "backslashreplace").decode()
        for letter in name
    )
