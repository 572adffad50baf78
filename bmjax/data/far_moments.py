"""A note where images are unlike those that given weights were trained on.

Mean and deviation, by which pixels are normalized, belong to weights and are kept
whatever the images. Where the images' own lie far from them, the network is shown
values that its training seldom had. That may be meant (DinoBloom was trained on stained
cells with ImageNet's moments), or show images of another stain, scanner or format.
"""

from collections.abc import Callable, Sequence

import numpy as np

from bmjax.data.channel_stats import Moments, channel_histograms, moments_of
from bmjax.data.images.decode import decode_whole
from bmjax.data.images.read_bounded import read_bounded
from bmjax.errors import DataError

# Ours. Two sets of photographs agree better: CIFAR-10's usual mean and deviation,
# (0.4914, 0.4822, 0.4465) and (0.2470, 0.2435, 0.2616), are 0.18 deviations and a
# factor of 1.16 from ImageNet's. Of the release's marrow cells (configs/common.py) blue
# is 1.46 deviations from these; of another laboratory's blood cells (PBC, measured) red
# is 1.43, and the factor of blue 2.3.
FAR_MEAN = 0.5  # in deviations of the weights
FAR_DEVIATION = 1.5  # as a factor, either way

# Ours: a channel's mean varies by up to 0.1 from cell to cell (PBC, measured), so that
# 200 tell the set's to 0.007; decoding them takes 0.2 s on one core. A few cells need
# not be like their set, and nothing is said of them.
_LOOKED_AT = 200
_FEWEST = 20


def far_moments_note(
    encoded: Callable[[int], np.ndarray],
    positions: Sequence[int] | np.ndarray,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    threads: int = 0,
) -> str:
    """Say in one sentence that images lie far from their weights' mean or deviation.

    At most 200 images are read, evenly spaced. Those that cannot be read are passed
    over: others complain of them.

    Args:
        encoded: position -> an image's file, uint8 [bytes]; may raise DataError.
        positions: of all the images.
        mean: of each channel, red, green, blue, of values in 0 to 1, that the weights
            were trained with.
        std: deviation of each channel.
        threads: that read and decode; 0 takes one for each core.

    Returns:
        "" where they do not, or where fewer than 20 images could be read.
    """

    def shares(position: int) -> np.ndarray | None:
        try:
            pixels = decode_whole(encoded(position), name="")
        except DataError:
            return None
        counts = channel_histograms(pixels)
        return counts / counts.sum(axis=1, keepdims=True)

    count = min(len(positions), _LOOKED_AT)
    if count < _FEWEST:
        return ""
    chosen = np.linspace(0, len(positions) - 1, count).round().astype(int)
    read = read_bounded(shares, [int(positions[n]) for n in chosen], threads=threads)
    found = [histogram for histogram in read if histogram is not None]
    if len(found) < _FEWEST:
        return ""
    own = moments_of(np.sum(found, axis=0, dtype=np.float64))
    if not _far(own, Moments(tuple(mean), tuple(std))):
        return ""
    return (
        f"the images' channels have the mean {_shown(own.mean)} and the deviation "
        f"{_shown(own.std)} ({len(found):,} of {len(positions):,} images), far from "
        f"{_shown(mean)} and {_shown(std)}, by which pixels are normalized for these "
        "weights; this is kept, since the weights were trained with it"
    )


def _far(own: Moments, theirs: Moments) -> bool:
    (mean, std), (their_mean, their_std) = map(np.asarray, own), map(np.asarray, theirs)
    shift = np.abs(mean - their_mean) / their_std
    tiny = np.finfo(np.float64).tiny  # a constant channel is far from any other
    factor = np.abs(np.log(np.maximum(std, tiny) / their_std))
    return bool((shift > FAR_MEAN).any() or (factor > np.log(FAR_DEVIATION)).any())


def _shown(values: Sequence[float]) -> str:
    return "({})".format(", ".join(f"{value:.3f}" for value in values))
