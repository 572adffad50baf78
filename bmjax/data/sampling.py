"""Order: which image stands at which position of an endless stream.

A pure function of (seed, position): the number of workers, threads and processes
cannot change it, and a resumed run needs the step alone. An own class, since grain's
shuffle costs half a millisecond an image on classes as small as these.
"""

from collections.abc import Callable

import grain
import numpy as np

from bmjax.errors import check_known

SAMPLINGS = ("natural", "balanced")


def natural_epoch(positions: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Every image once, in an order of this epoch's own."""
    return _generator(seed, epoch).permutation(positions)


def balanced_epoch(
    positions: np.ndarray,
    labels: np.ndarray,
    *,
    per_class: int,
    seed: int,
    epoch: int,
) -> np.ndarray:
    """`per_class` (the paper's N_c) draws of each class, with replacement, shuffled.

    As the authors' sampler draws, though theirs takes the global generator and the same
    shuffle in every epoch.

    Args:
        positions: int64 [n], images to draw from.
        labels: int [n], their classes.
        per_class: draws of each class that is present.
        seed: of the run.
        epoch: of the stream.

    Returns:
        int64 [per_class * classes present].
    """
    random = _generator(seed, epoch)
    drawn = [
        random.choice(positions[labels == label], per_class)
        for label in np.unique(labels)
    ]
    return random.permutation(np.concatenate(drawn))


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, epoch]))


class Stream(grain.MapDataset):
    """An endless stream of positions, epoch after epoch, addressable anywhere.

    Batches may span two epochs: nothing is dropped.
    """

    # Names like `seed`, `map` or `batch` would hide the methods of MapDataset.
    def __init__(self, draw: Callable[[int], np.ndarray], length: int):
        """Take `draw(epoch)`, an array of `length` positions."""
        super().__init__()
        self._draw, self.epoch_length = draw, length
        self._epochs: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, place):
        if isinstance(place, slice):
            return self.slice(place)
        epoch, offset = divmod(place, self.epoch_length)
        order = self._epochs.get(epoch)
        if order is None:
            order = self._draw(epoch)
            # Threads may draw the same epoch twice: the same numbers, no harm.
            self._epochs = {
                **{e: o for e, o in self._epochs.items() if e >= epoch - 1},
                epoch: order,
            }
        return int(order[offset])


def make_stream(
    positions: np.ndarray,
    labels: np.ndarray,
    *,
    sampling: str,
    per_class: int,
    seed: int,
) -> Stream:
    """Return the training stream, by the name of a sampling.

    Args:
        positions: int64 [n], the training part.
        labels: int [n], classes of those images.
        sampling: "natural" or "balanced".
        per_class: draws per class and epoch, for "balanced".
        seed: of the run.

    Raises:
        ConfigError: unknown sampling.
    """
    check_known("config.data.sampling", sampling, SAMPLINGS)
    if sampling == "natural":
        return Stream(
            lambda epoch: natural_epoch(positions, seed=seed, epoch=epoch),
            len(positions),
        )
    return Stream(
        lambda epoch: balanced_epoch(
            positions, labels, per_class=per_class, seed=seed, epoch=epoch
        ),
        per_class * len(np.unique(labels)),
    )
