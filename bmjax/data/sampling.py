"""Order: which image stands at which position of an endless stream.

A pure function of (seed, position): the number of workers, threads and processes
cannot change it, and a resumed run needs the step alone. An own class, since grain's
shuffle costs half a millisecond an image on classes as small as these.
"""

from collections.abc import Callable
from functools import partial

import grain
import numpy as np

from bmjax.data.class_weights import effective_number
from bmjax.errors import check_known

SAMPLINGS = ("natural", "balanced", "cycle", "sqrt", "effective")


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


def cycled_epoch(
    positions: np.ndarray,
    labels: np.ndarray,
    *,
    draws: dict[int, int],
    seed: int,
    epoch: int,
) -> np.ndarray:
    """So many draws of each class, without replacement until a class is used up.

    A class goes through permutation after permutation of its images, on from epoch to
    epoch: over any time, two images of a class are seen equally often but for one.

    Args:
        positions: int64 [n], images to draw from.
        labels: int [n], their classes.
        draws: of each class in an epoch.
        seed: of the run.
        epoch: of the stream.

    Returns:
        int64 [sum of draws].
    """
    drawn = []
    for label, count in draws.items():
        members = positions[labels == label]
        first, last = epoch * count, (epoch + 1) * count
        rounds = range(first // len(members), -(-last // len(members)))
        order = np.concatenate(
            [
                np.random.Generator(
                    np.random.Philox(key=[seed, 1 << 63 | label << 40 | number])
                ).permutation(members)
                for number in rounds
            ]
        )
        start = first - rounds[0] * len(members)
        drawn.append(order[start : start + count])
    return _generator(seed, epoch).permutation(np.concatenate(drawn))


def draws_by_class(
    labels: np.ndarray, sampling: str, *, per_class: int
) -> dict[int, int]:
    """How often an epoch of `cycled_epoch` draws each class.

    cycle: `per_class` each. sqrt, effective: as many draws as there are images, shared
    out by the square root of a class's images or by their effective number
    (`data/weights.py`), one draw at least.
    """
    present, images = np.unique(labels, return_counts=True)
    if sampling == "cycle":
        return dict.fromkeys(present.tolist(), per_class)
    size = np.sqrt(images) if sampling == "sqrt" else effective_number(images)
    draws = np.maximum(1, np.round(images.sum() * size / size.sum())).astype(int)
    return dict(zip(present.tolist(), draws.tolist(), strict=True))


def drawn_shares(labels: np.ndarray, sampling: str, *, classes: int) -> np.ndarray:
    """Share of each class among the draws of a sampling, float [N]; sums to 1.

    Args:
        labels: int [n], of the training images.
        sampling: one of SAMPLINGS.
        classes: N.
    """
    images = np.bincount(labels, minlength=classes)
    if sampling == "natural":
        return images / images.sum()
    if sampling in ("balanced", "cycle"):
        return (images > 0) / np.sum(images > 0)
    draws = draws_by_class(labels, sampling, per_class=1)
    drawn = np.array([draws.get(label, 0) for label in range(classes)], float)
    return drawn / drawn.sum()


def coupled(order: np.ndarray, labels: np.ndarray, random: np.random.Generator):
    """Put the draws of each class together in twos, and shuffle the twos.

    A batch of an even number of images then holds two or none of every class. A class
    with an odd number of draws gets its first one again.

    Args:
        order: int64 [n], draws.
        labels: int [n], the class of each draw.
        random: shuffles.

    Returns:
        int64 [n + classes with an odd number of draws].
    """
    twos = []
    for label in np.unique(labels):
        drawn = order[labels == label]
        if len(drawn) % 2:
            drawn = np.append(drawn, drawn[0])
        twos.append(drawn.reshape(-1, 2))
    return random.permutation(np.concatenate(twos)).reshape(-1)


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, epoch]))


class Stream(grain.MapDataset):
    """An endless stream of positions, epoch after epoch, addressable anywhere.

    Batches may span two epochs: nothing is dropped.
    """

    # Names like `seed`, `map` or `batch` would hide the methods of MapDataset.
    def __init__(self, draw: Callable[..., np.ndarray], length: int):
        """Take `draw(epoch=number)`, an array of `length` positions."""
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
            order = self._draw(epoch=epoch)
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
    couples: bool = False,
) -> Stream:
    """Return the training stream, by the name of a sampling.

    Args:
        positions: int64 [n], the training part.
        labels: int [n], classes of those images.
        sampling: "natural", each image once an epoch; "balanced", `per_class` draws of
            each class with replacement; "cycle", the same without replacement; "sqrt"
            or "effective", classes in proportion to these of their sizes.
        per_class: draws per class and epoch, for "balanced" and "cycle".
        seed: of the run.
        couples: two images of a class together, whatever the sampling.

    Raises:
        ConfigError: unknown sampling.
    """
    check_known("config.data.sampling", sampling, SAMPLINGS)
    if sampling == "natural":
        draw = partial(natural_epoch, positions, seed=seed)
        draws = np.unique(labels, return_counts=True)[1]
    elif sampling == "balanced":
        draw = partial(
            balanced_epoch, positions, labels, per_class=per_class, seed=seed
        )
        draws = np.full(len(np.unique(labels)), per_class)
    else:
        shares = draws_by_class(labels, sampling, per_class=per_class)
        draw = partial(cycled_epoch, positions, labels, draws=shares, seed=seed)
        draws = np.array(list(shares.values()))
    if couples:
        draw = partial(_draw_couples, draw, positions, labels, seed)
        draws = draws + draws % 2
    return Stream(draw, int(draws.sum()))


def _draw_couples(draw, positions, labels, seed, *, epoch):
    order = draw(epoch=epoch)
    # Positions are sorted, and so are those of a catalog's parts.
    classes = labels[np.searchsorted(positions, order)]
    random = np.random.Generator(np.random.Philox(key=[seed, 1 << 62 | epoch]))
    return coupled(order, classes, random)
