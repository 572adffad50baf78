"""What a configuration needs on several accelerators, by arithmetic: docs/scaling.md.

    python -m bmjax.benchmark.scaling

prints the page's tables for the paper's SwAV. Nothing is run: the operations and bytes
of each convolution and matrix product are taken from shapes, and data sheets say how
fast an accelerator could be at best.
"""

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bmjax.errors import DONE

# Times that each number that batch normalization sees is moved (ours; ReLU and sums of
# blocks fused into it): for the mean, for the variance, read and written; back, read
# with its gradient for two sums, and again for the gradient that is written.
_NORM_MOVES = 4 + 5
# Collectives of a batch norm layer in a step, as compiled (tests/test_program.py).
_NORM_COLLECTIVES = 4
_UPDATE_MOVES = 5  # gradient, parameter and momentum read, the last two written
_DEVICES = (1, 2, 4, 8, 16, 32, 64)
_LARGE = 16  # multiply-adds are counted at two sizes of batch, this and half of it


class Accelerator(NamedTuple):
    """Best figures of one device and of the links between them, by its data sheet."""

    name: str
    units: str  # that multiply
    itemsize: int  # bytes of an activation
    flops: float  # a second
    bandwidth: float  # bytes a second
    memory: float  # bytes
    link: float  # bytes a second to a neighbor, one way
    latency: float  # seconds of a small all-reduce (ours)


ACCELERATORS = (
    # NVIDIA Quadro RTX 5000 data sheet; PCI Express 3.0 with 16 lanes.
    Accelerator("RTX 5000", "float32", 4, 11.2e12, 448e9, 16e9, 15.75e9, 30e-6),
    # NVIDIA A100 80GB SXM data sheet; NVLink 600 GB/s both ways. float32 products are
    # TF32 by default there (jax.lax.Precision).
    Accelerator("A100", "TF32", 4, 156e12, 2039e9, 80e9, 300e9, 15e-6),
    Accelerator("A100", "bfloat16", 2, 312e12, 2039e9, 80e9, 300e9, 15e-6),
    # NVIDIA H100 SXM data sheet, without sparsity; NVLink 900 GB/s both ways.
    Accelerator("H100", "TF32", 4, 495e12, 3350e9, 80e9, 450e9, 15e-6),
    Accelerator("H100", "bfloat16", 2, 989e12, 3350e9, 80e9, 450e9, 15e-6),
)


class Work(NamedTuple):
    """What a step does, as numbers times images plus numbers: ((per image, fixed))."""

    operations: list[tuple[tuple[float, float], tuple[float, float]]]  # flop, bytes
    normalized: float  # numbers that batch normalization sees, an image
    view_numbers: float  # an image's views
    pixel_bytes: float  # an image
    parameters: int
    norm_layers: int
    batch_size: int
    steps_per_epoch: int
    epochs: int

    @property
    def flops(self) -> float:
        """Of a whole batch."""
        return sum(f * self.batch_size + fixed for (f, fixed), _ in self.operations)


class Estimate(NamedTuple):
    """Of one step on some devices; seconds and bytes on each of them."""

    devices: int
    compute: float
    gradients: float  # their all-reduce
    statistics: float  # small all-reduces of batch normalization
    memory: float
    fits: bool

    @property
    def seconds(self) -> float:
        """Of the step, nothing overlapping."""
        return self.compute + self.gradients + self.statistics


def estimate(work: Work, on: Accelerator, devices: int) -> Estimate:
    """Say how long a step takes at least, and what it keeps in memory.

    Each operation takes as long as its arithmetic or its bytes do, whichever is more
    (Williams et al. 2009, the roofline). Batch normalization moves bytes alone.
    Gradients go round a ring: 2 (n - 1) / n of their bytes over each link.
    """
    images, width = work.batch_size / devices, on.itemsize / 4
    compute = sum(
        max(
            (f * images + fixed_f) / on.flops,
            (b * images + fixed_b) * width / on.bandwidth,
        )
        for (f, fixed_f), (b, fixed_b) in work.operations
    )
    moved = _NORM_MOVES * work.normalized * images * on.itemsize
    moved += _UPDATE_MOVES * 4 * work.parameters
    compute += moved / on.bandwidth
    together = devices > 1
    ring = 2 * (devices - 1) / devices * 4 * work.parameters / on.link
    small = together * _NORM_COLLECTIVES * work.norm_layers * on.latency
    memory = (
        # Parameters, momentum and gradients; what each convolution takes and each
        # batch norm sees; views in float32; pixels, three batches on their way.
        3 * 4 * work.parameters
        + 2 * work.normalized * images * on.itemsize
        + 4 * work.view_numbers * images
        + 3 * work.pixel_bytes * images
    )
    return Estimate(devices, compute, ring, small, memory, memory < on.memory)


def work_of(config: Any) -> Work:
    """Count what a configuration's step does, from shapes.

    Args:
        config: a `ConfigDict` of a residual network; it is left as it is.
    """
    import jax

    from bmjax.benchmark.stand_in import stand_in_catalog
    from bmjax.run.build import batch_shapes, build
    from bmjax.run.compile import init_shapes
    from bmjax.run.run_settings import read_config

    config = config.copy_and_resolve_references()
    config.mesh.devices = 1
    settings = read_config(config)
    paper = build(settings, Path(), stand_in_catalog())
    small, large = (_operations(settings, images) for images in (_LARGE // 2, _LARGE))
    batch_of_shapes = batch_shapes(settings.data, paper.mesh)
    shapes = init_shapes(paper.learner, batch_of_shapes)
    views = jax.eval_shape(
        paper.learner.method.views, jax.random.key(0), batch_of_shapes
    )
    batch = settings.data.batch_size
    means = [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes.batch_stats)
        if path[-1].key == "mean"
    ]
    forward = large[1]
    return Work(
        operations=[
            (_line(a.flops, b.flops), _line(a.bytes, b.bytes))
            for a, b in zip(small[0], large[0], strict=True)
        ],
        normalized=sum(each.outputs for each in forward) / _LARGE,
        view_numbers=sum(images.size for images in views.images) / batch,
        pixel_bytes=3 * settings.data.size**2,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(shapes.params)),
        norm_layers=len(means),
        batch_size=batch,
        steps_per_epoch=paper.length.steps_per_epoch,
        epochs=round(paper.length.steps / paper.length.steps_per_epoch),
    )


def _operations(settings, images: int):
    """All operations of a step of so many images, and its convolutions forward."""
    from bmjax.benchmark.operations import step_operations
    from bmjax.benchmark.stand_in import stand_in_catalog
    from bmjax.run.build import build

    data = dataclasses.replace(settings.data, batch_size=images)
    settings = dataclasses.replace(settings, data=data)
    return step_operations(build(settings, Path(), stand_in_catalog()))


def _line(small: int, large: int) -> tuple[float, float]:
    """Slope an image and what is left, from two sizes of batch."""
    slope = (large - small) / (_LARGE - _LARGE // 2)
    return slope, large - slope * _LARGE


def scaling_tables(work: Work) -> Iterator[str]:
    """The lines of docs/scaling.md's tables."""
    yield (
        f"A step of {work.batch_size} images is {work.flops / 1e12:.1f} TFLOP; "
        f"{work.parameters / 1e6:.1f} million parameters, "
        f"{4 * work.parameters / 1e6:.0f} MB of gradients; an epoch is "
        f"{work.steps_per_epoch} steps."
    )
    yield ""
    yield (
        "| four of | units | compute, ms | gradients, ms | batch norm, ms | memory, GB "
        f"| epochs an hour | {work.epochs} epochs, h | loader, images/s |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for on in ACCELERATORS:
        found = estimate(work, on, 4)
        epoch = found.seconds * work.steps_per_epoch
        yield (
            f"| {on.name} | {on.units} | {found.compute * 1e3:.0f} "
            f"| {found.gradients * 1e3:.1f} | {found.statistics * 1e3:.1f} "
            f"| {found.memory / 1e9:.1f} of {on.memory / 1e9:.0f} "
            f"| {3600 / epoch:.0f} | {epoch * work.epochs / 3600:.1f} "
            f"| {work.batch_size / found.seconds:,.0f} |"
        )
    yield ""
    kinds = [on for on in ACCELERATORS if on.units != "TF32"]
    head = [f"{on.name}, {on.units}" for on in kinds]
    yield "| devices | " + " | ".join(head) + " |"
    yield "| --- |" + " --- |" * len(head)
    alone = [estimate(work, on, 1).seconds for on in kinds]
    for devices in _DEVICES:
        cells = []
        for on, one in zip(kinds, alone, strict=True):
            found = estimate(work, on, devices)
            share = one / devices / found.seconds
            cell = f"{work.batch_size / found.seconds:,.0f} images/s, {share:.0%}"
            cells.append(cell if found.fits else cell + " (memory)")
        yield f"| {devices} | " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bmjax.benchmark.scaling",
        description="Print the tables of docs/scaling.md.",
    )
    parser.add_argument(
        "--config", type=Path, default=Path("configs/swav.py"), metavar="FILE"
    )
    options = parser.parse_args(arguments)
    from bmjax.run.command_line import load_config

    for line in scaling_tables(work_of(load_config(options.config))):
        print(line)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
