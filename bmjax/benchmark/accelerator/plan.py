"""The parts of an accelerator's first hour, by value: what to know first is first."""

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bmjax.errors import ConfigError

_PRECISIONS = ("bfloat16", "tensorfloat32", "float32")
RUN_SCALES = ("small", "paper")
# What a GPU needs for the same numbers twice: no sums in the order in which threads
# arrive, and no kernel chosen by a stopwatch.
DETERMINISTIC = (
    "--xla_gpu_exclude_nondeterministic_ops=true",
    "--xla_gpu_autotune_level=0",
)

# Configurations of residual networks, whose steps docs/scaling.md's arithmetic knows.
_RESIDUAL = ("swav", "supervised", "dino", "supcon", "linear", "mixup", "cutmix")


class Part(NamedTuple):
    """One process: what it does, and what it needs."""

    name: str
    kind: str  # of `part._KINDS`
    options: dict[str, Any] = {}  # noqa: RUF012 never changed
    seconds: int = 300  # the most that it may take (ours)
    timed: bool = True  # it times something, so nothing else may run beside it
    devices: int = 1
    cold: bool = False  # it begins without compiled programs
    flags: tuple[str, ...] = ()  # XLA's, for this part alone


def all_parts() -> list[Part]:
    """Every part, in the order in which they run."""
    return [
        *_checks(),
        *_steps("swav"),
        *_torch("swav", "bfloat16", "tensorfloat32"),
        _step("loop-swav-bfloat16", "swav", "bfloat16", with_loop=True),
        *_memory(),
        Part("lowerings", "lowerings"),
        *_scaling(),
        Part("collectives", "collectives", devices=4),
        *_steps("supervised"),
        *_steps("vit_s", config="vit"),
        *_steps("vit_b", config="vit", **{"model.name": "vit_base_patch16_224"}),
        *_torch("supervised", "bfloat16"),
        *(each for name in ("dino", "supcon", "linear") for each in _steps(name)),
        _step(
            "step-swav-bfloat16-deterministic",
            "swav",
            "bfloat16",
            flags=DETERMINISTIC,
            seconds=150,
        ),
        *_torch("swav", "bfloat16", compiled=True),
        *(each for name in ("mixup", "cutmix") for each in _steps(name)),
    ]


def _checks() -> Iterator[Part]:
    for of in ("losses", "residual", "transformers"):
        yield Part(f"golden-{of}", "golden", {"of": of}, timed=False)
    # Three large programs, of which the numbers count and not the speed.
    yield Part("bfloat16", "bfloat16", timed=False, flags=DETERMINISTIC[1:])
    yield Part("devices", "devices", timed=False, devices=4)
    yield Part("resume", "resume", timed=False)
    yield Part("predictions", "predictions", {"configs": _RESIDUAL}, timed=False)
    yield Part("products", "products")


def _steps(name: str, *, config: str = "", **overrides: Any) -> Iterator[Part]:
    for precision in _PRECISIONS:
        part = f"step-{name}-{precision}"
        yield _step(part, config or name, precision, **overrides)


def _step(
    part: str,
    config: str,
    precision: str,
    *,
    with_loop: bool = False,
    devices: int = 1,
    flags: tuple[str, ...] = (),
    seconds: int = 300,
    **overrides: Any,
) -> Part:
    options = {
        "config": config,
        "precision": precision,
        "with_loop": with_loop,
        "overrides": overrides,
    }
    return Part(part, "step", options, seconds, devices=devices, cold=True, flags=flags)


def _memory() -> Iterator[Part]:
    for chunks in (2, 4):
        name = f"memory-accumulate-{chunks}"
        yield _step(name, "swav", "bfloat16", **{"train.accumulate": chunks})
    yield _step("memory-remat", "swav", "bfloat16", **{"model.remat": True})


def _scaling() -> Iterator[Part]:
    for devices in (2, 4):
        yield _step(f"scaling-{devices}", "swav", "bfloat16", devices=devices)


def _torch(name: str, *precisions: str, compiled: bool = False) -> Iterator[Part]:
    for precision in precisions:
        part = f"torch-{name}-{precision}" + ("-compiled" if compiled else "")
        options = {"config": name, "precision": precision, "compiled": compiled}
        yield Part(part, "torch", options)


def choose(parts: Sequence[Part], patterns: str) -> list[Part]:
    """The parts that --parts names, in their own order.

    Args:
        parts: all there are.
        patterns: names joined by commas; * stands for anything; "" chooses all.

    Raises:
        ConfigError: a pattern that no part has.
    """
    if not patterns:
        return list(parts)
    wanted = [text for text in patterns.split(",") if text]
    names = [part.name for part in parts]
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            raise ConfigError(
                f"--parts={pattern!r} names no part; give some of {', '.join(names)}, "
                "with * for anything"
            )
    return [
        part
        for part in parts
        if any(fnmatch.fnmatchcase(part.name, pattern) for pattern in wanted)
    ]
