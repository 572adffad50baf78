"""How fast images come: the pipeline beside a bare decode loop, and beside torch's.

All are timed in turns within one run, on the same files and cores.
"""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from bmjax.benchmark.measure import about_machine
from bmjax.benchmark.peer import Peer
from bmjax.benchmark.spread import summarize
from bmjax.data.images.decode import decode
from bmjax.data.matek import CLASSES
from bmjax.data.pipeline import HostBatch, training_batches
from bmjax.data.prepared.read import PreparedCatalog
from bmjax.data.sampling import make_stream
from bmjax.devices.mesh import batch_sharded, put_batch
from bmjax.errors import ConfigError
from bmjax.run.build import BuiltRun, build
from bmjax.run.validate import validate
from bmjax.training.keys import key_for
from bmjax.types import Batch

_INDICES = 210_000  # an epoch of the paper's balanced sampling


def measure_loader(
    config: ConfigDict, scratch: Path, *, steps: int, turns: int, python: str
) -> dict[str, Any]:
    """Time the input of a configuration.

    Args:
        config: of the run; it names data.
        scratch: a folder that may be filled.
        steps: batches in each turn.
        turns: of each kind, alternating, after one that is not counted.
        python: interpreter that has torch, for the comparison; "" leaves it out.

    Returns:
        names and figures; rates are medians over turns, in images/s.
    """
    settings = validate(config)
    run = build(settings, scratch)
    peer = (
        Peer(python, "bmjax.benchmark.torch_loader", _peer_task(run))
        if python
        else None
    )
    # Threads make whole batches, `prefetch` of them at a time and nearly in step: whole
    # rounds of these are measured, or the count would not come out even.
    steps = -(-steps // config.data.prefetch) * config.data.prefetch
    bare, loaded, other = [], [], []
    images = steps * config.data.batch_size
    for _ in range(turns + 1):
        bare.append(images / _bare_seconds(run, steps))
        loaded.append(images / _loader_seconds(run, steps))
        if peer:
            other.append(images / peer.turn(steps))
    begun, ended = _epoch_bytes(run)
    figures: dict[str, Any] = {
        "batch_size": config.data.batch_size,
        "size": config.data.size,
        "threads": config.data.threads,
        "workers": config.data.workers,
        **about_machine(run.mesh),
        **summarize("decode_images_per_second", bare[1:]),
        **summarize("loader_images_per_second", loaded[1:]),
        **summarize("loader_over_decode", _ratios(loaded, bare)),
        "resident_megabytes": ended / 1e6,
        "epoch_growth_megabytes": (ended - begun) / 1e6,
        "index_microseconds": _index_seconds() * 1e6,
    }
    if peer:
        peer.close()
        figures["peer"] = peer.versions
        figures |= summarize("torch_images_per_second", other[1:])
        figures |= summarize("loader_over_torch", _ratios(loaded, other))
    views = [images / _views_seconds(run, steps) for _ in range(turns)]
    return figures | summarize("augment_on_device_images_per_second", views)


def _ratios(first: list[float], second: list[float]) -> list[float]:
    return [a / b for a, b in zip(first[1:], second[1:], strict=True)]


def _bare_seconds(run: BuiltRun, steps: int) -> float:
    """Read and decode the same images in as many threads, and nothing else."""
    data = run.settings.data
    positions = [run.data.stream[place] for place in range(steps * data.batch_size)]

    def read(position: int) -> np.ndarray:
        name = run.data.catalog.paths[position]
        encoded = run.data.catalog.encoded(position)
        return decode(encoded, size=data.size, resize=data.resize, name=name)

    threads = data.threads * max(data.workers, 1)
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        for _ in pool.map(read, positions):
            pass
        return time.perf_counter() - started


def _loader_seconds(run: BuiltRun, steps: int) -> float:
    """Batches of the pipeline once it is warm: what was held ready is not counted."""
    batches = _batches(run)
    for _ in range(run.settings.data.prefetch):
        next(batches)
    started = time.perf_counter()
    for _ in itertools.islice(batches, steps):
        pass
    return time.perf_counter() - started


def _epoch_bytes(run: BuiltRun) -> tuple[int, int]:
    """Memory of this process after a tenth of an epoch, and at its end."""
    batches = _batches(run)
    tenth = max(1, run.length.steps_per_epoch // 10)
    begun = 0
    for step in range(run.length.steps_per_epoch):
        next(batches)
        if step + 1 == tenth:
            begun = _resident_bytes()
    return begun, _resident_bytes()


def _batches(run: BuiltRun) -> Iterator[HostBatch]:
    data = run.settings.data
    return training_batches(
        run.data.catalog,
        run.data.stream,
        size=data.size,
        resize=data.resize,
        batch_size=data.batch_size,
        first_step=0,
        threads=data.threads,
        prefetch=data.prefetch,
        workers=data.workers,
        stand_ins=run.data.replacements,
    )


def _views_seconds(run: BuiltRun, steps: int) -> float:
    """The augmentation alone, as the compiled step does it on the devices."""
    size, count = run.settings.data.size, run.settings.data.batch_size
    random = np.random.Generator(np.random.PCG64(0))
    pixels = random.integers(0, 256, (count, size, size, 3), np.uint8)
    batch = put_batch(Batch(pixels, np.zeros(count, np.int32)), run.mesh)
    views = jax.jit(
        lambda batch, step: run.learner.method.views(key_for(0, "views", step), batch),
        in_shardings=(batch_sharded(run.mesh), None),
    )
    jax.block_until_ready(views(batch, 0))
    started = time.perf_counter()
    for step in range(steps):
        made = views(batch, step)
    jax.block_until_ready(made)
    return time.perf_counter() - started


def _index_seconds() -> float:
    """One position of balanced sampling over as many images as the release has."""
    labels = np.repeat(np.arange(len(CLASSES)), [cell.images for cell in CLASSES])
    stream = make_stream(
        np.arange(len(labels)), labels, sampling="balanced", per_class=10_000, seed=0
    )
    started = time.perf_counter()
    for place in range(_INDICES):
        stream[place]
    return (time.perf_counter() - started) / _INDICES


def _resident_bytes() -> int:
    """Memory of this process, where the system tells it."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()


def _peer_task(run: BuiltRun) -> dict[str, Any]:
    """What the peer has to load: the same files, in its own way."""
    if isinstance(run.data.catalog, PreparedCatalog):
        raise ConfigError(
            f"--python compares on files, and {str(run.data.catalog.root)!r} is a "
            "prepared set; give the folder of its images"
        )
    data = run.settings.data
    train = run.data.split.train
    return {
        "paths": [
            str(run.data.catalog.root / run.data.catalog.paths[p]) for p in train
        ],
        "labels": run.data.catalog.labels[train].tolist(),
        "size": data.size,
        "batch_size": data.batch_size,
        "scale": list(run.settings.augment.large_scale),
        "mean": list(data.mean),
        "std": list(data.std),
    }
