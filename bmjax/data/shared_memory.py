"""Whether there is enough shared memory for the batches of worker processes."""

import math
from pathlib import Path

from bmjax.errors import ConfigError
from bmjax.files import free_space

_PLACE = Path("/dev/shm")  # Linux's; other systems have no such limit to look at
# Batches in shared memory at once, of each worker and of the process that takes them
# (ours, measured with grain 0.2.18: 5.1, 9.2 and 13.3 for one to three workers).
_EACH, _TAKEN = 4, 1
_MB = 1e6


def check_shared_memory(*, workers: int, batch_size: int, size: int) -> None:
    """Raise ConfigError where the batches of worker processes do not fit.

    A process that writes beyond the end is killed without a word, and a container has
    64 MB unless it is told otherwise.

    Args:
        workers: config.data.workers; 0 needs none.
        batch_size: images of a batch.
        size: side of an image, in pixels.
    """
    if not workers or not _PLACE.is_dir():
        return
    needed = (_EACH * workers + _TAKEN) * batch_size * size * size * 3
    free = free_space(_PLACE)
    if free < needed:
        raise ConfigError(
            f"config.data.workers = {workers} hand over batches in shared memory and "
            f"take {needed / _MB:,.1f} MB of it, but {str(_PLACE)!r} has "
            f"{free / _MB:,.1f} MB free; give a container more (docker run "
            f"--shm-size={math.ceil(needed / 1e9)}g), or use config.data.workers=0, "
            "whose threads need none"
        )
