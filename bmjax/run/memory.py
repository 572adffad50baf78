"""Whether a compiled step fits the memory there is, and what would fit."""

import contextlib
from collections.abc import Callable, Iterator

import jax
from jax.sharding import Mesh

from bmjax.devices.hardware import Memory, memory_left
from bmjax.errors import ConfigError
from bmjax.run.build import Learner
from bmjax.run.compile import compile_step
from bmjax.run.logs import data_size
from bmjax.training.step import TrainState
from bmjax.types import Batch

_TRIES = 3  # compilations spent on finding what fits


def wanted_bytes(compiled: jax.stages.Compiled) -> int:
    """Bytes that a compiled program takes on each device; 0 where XLA does not tell.

    Arguments, temporaries, and those results that do not lie where arguments lay.
    """
    memory = compiled.memory_analysis()
    if memory is None:
        return 0
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes + results


def check_fits(
    learner: Learner,
    state: TrainState,
    shapes: Batch,
    mesh: Mesh,
    compiled: jax.stages.Compiled,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Raise ConfigError where a step would want more memory than there is.

    Looked at before the step is run, since a CPU's process that takes too much is
    killed without a word. The accumulation that the message names has been compiled
    and fits.

    Args:
        learner: whose step it is.
        state: already in memory, so what it takes is not asked for again.
        shapes: of a batch.
        mesh: the devices.
        compiled: the step.
        say: for a line before a search that takes a while.
    """
    left = memory_left(mesh)
    if left is None:
        return
    copies = len(mesh.local_devices) if left.shared else 1
    had = left.size + copies * sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    wanted = copies * wanted_bytes(compiled)
    if wanted <= had:
        return
    say(
        f"a step wants {data_size(wanted)} of memory {left.what}, which has "
        f"{data_size(had)}: looking for one that fits"
    )

    def want(chunks: int) -> int:
        in_chunks = learner._replace(chunks=chunks)
        return copies * wanted_bytes(compile_step(in_chunks, state, shapes, mesh))

    batch = len(shapes.labels)
    possible = more_chunks(batch, mesh.size, learner.chunks)
    chunks = _fitting_chunks(possible, learner.chunks, wanted, had, want)
    raise ConfigError(_too_large(batch, mesh.size, wanted, had, left, chunks))


@contextlib.contextmanager
def explained(
    compiled: jax.stages.Compiled, batch: int, possible: list[int]
) -> Iterator[None]:
    """Turn an allocation that fails in here into a sentence for the user.

    `check_fits` finds most of them before; what other processes take in the meantime
    it cannot know.

    Args:
        compiled: the step.
        batch: images in a step.
        possible: `more_chunks` that the batch could be embedded in.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        more = next(iter(possible), 0)
        cure = f"--config.train.accumulate={more}, or " if more else ""
        raise ConfigError(
            f"memory ran out in a step of config.data.batch_size = {batch:,}, which "
            f"wants {data_size(wanted_bytes(compiled))} on each device "
            f"({str(error).splitlines()[0]}); use {cure}a smaller batch, in another "
            "--workdir"
        ) from None


def _too_large(
    batch: int, devices: int, wanted: int, had: int, left: Memory, chunks: int
) -> str:
    of = f" on {devices} devices" if devices > 1 and left.shared else ""
    text = (
        f"config.data.batch_size = {batch:,} wants {data_size(wanted)} of memory{of}, "
        f"and {data_size(had)} are free {left.what}; "
    )
    if chunks:
        return text + f"--config.train.accumulate={chunks} fits"
    # Memory is nearly in proportion to the batch: a fair first try.
    smaller = max(devices, 2 ** ((batch * had // wanted).bit_length() - 1))
    return text + (
        "no config.train.accumulate was found that fits; use a smaller batch, such as "
        f"--config.data.batch_size={smaller}"
    )


def _fitting_chunks(
    possible: list[int],
    chunks: int,
    wanted: int,
    had: int,
    want: Callable[[int], int],
) -> int:
    """A number of chunks that fits, as small as the guesses are good; 0: none found.

    What a step takes is nearly a + b / chunks: the state and all images' views, and
    what the backward pass keeps of one chunk. The first guess has no a, the next goes
    through the last two programs that were compiled.
    """
    known = [(chunks, wanted)]

    def guess(chunks: int) -> float:
        last, size = known[-1]
        if len(known) == 1:
            return size * last / chunks
        before, larger = known[-2]
        part = (larger - size) / (1 / before - 1 / last)
        return size + part * (1 / chunks - 1 / last)

    for _ in range(_TRIES):
        more = [n for n in possible if n > known[-1][0]]
        chunks = next((n for n in more if guess(n) <= had), 0)
        if not chunks:
            return 0
        known.append((chunks, want(chunks)))
        if known[-1][1] <= had:
            return chunks
    return 0


def more_chunks(batch: int, devices: int, chunks: int) -> list[int]:
    """Return the numbers of chunks above `chunks` that a device's share divides by."""
    share = batch // devices
    return [n for n in range(chunks + 1, share + 1) if share % n == 0]
