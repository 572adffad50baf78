"""Whether the batches that are held ready fit the memory there is."""

from bmjax.devices.hardware import host_memory_left
from bmjax.errors import ConfigError
from bmjax.run.logs import data_size


def check_prefetch(*, prefetch: int, workers: int, batch_size: int, size: int) -> None:
    """Raise ConfigError where batches held ready take more memory than is free.

    A process that takes more is killed without a word, minutes later.

    Args:
        prefetch: config.data.prefetch, batches that each process holds.
        workers: config.data.workers; 0: this process holds them.
        batch_size: images of a batch, of this process.
        size: side of an image, in pixels.
    """
    free = host_memory_left()
    each = max(workers, 1) * batch_size * size * size * 3
    if free is None or prefetch * each <= free:
        return
    fits = free // each
    cure = (
        f"--config.data.prefetch={fits}"
        if fits
        else "a smaller config.data.batch_size or config.data.workers"
    )
    whose = f", {workers} workers" if workers else ""
    raise ConfigError(
        f"config.data.prefetch = {prefetch} holds up to {data_size(prefetch * each)} "
        f"of images ready ({batch_size} a batch, {size} pixels a side{whose}), and "
        f"{data_size(free)} of memory are free in this machine; use {cure}"
    )
