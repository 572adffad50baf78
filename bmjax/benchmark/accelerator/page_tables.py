"""The tables of the page; each takes the records of the parts that have figures."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bmjax.benchmark.accelerator.predicted_steps import predict

_Records = dict[str, dict[str, Any]]
_BASE = "step-swav-bfloat16"  # what accumulation, remat and devices are held against


def cell(text: str) -> str:
    """Text that stays in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _of_kind(records: _Records, *prefixes: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, record in records.items():
        if name.startswith(prefixes):
            yield name, record["figures"]


def _rate(figures: dict[str, Any], key: str, unit: float = 1.0) -> str:
    """A median with its spread, or a dash."""
    if key not in figures:
        return "-"
    shown = figures[key] / unit
    text = f"{shown:,.0f}" if shown >= 100 else f"{shown:.3g}"
    return f"{text} ({figures.get(f'{key}_spread', 0.0):.2f})"


def _number(figures: dict[str, Any], key: str, unit: float = 1.0) -> str:
    value = figures.get(key)
    return "-" if value is None else f"{value / unit:.3g}"


def _share(figures: dict[str, Any], key: str) -> str:
    return f"{figures[key]:.1%}" if key in figures else "-"


def checks(records: _Records) -> list[str]:
    """Every line of every check."""
    rows = [
        [
            name,
            each["check"],
            f"{each['found']:.2g}",
            f"{each['bound']:.2g}",
            "yes" if each["holds"] else "**no**",
        ]
        for name, record in records.items()
        for each in record["figures"].get("checks", ())
    ]
    return _table(["part", "what strays", "found", "bound", "holds"], rows)


def products(records: _Records) -> list[str]:
    """Rates of a large matrix product."""
    rows = [
        [name.removesuffix("_flops_per_second"), _rate(figures, name, 1e12)]
        for _, figures in _of_kind(records, "products")
        for name in figures
        if name.endswith("_flops_per_second")
    ]
    return _table(["precision", "TFLOP/s"], rows)


def steps(records: _Records) -> list[str]:
    """Rates of the steps."""
    rows = [
        [
            name.removeprefix("step-"),
            f"{f['network']}, {f['batch_size']} x {_views(f)}",
            _rate(f, "images_per_second"),
            _number(f, "step_seconds", 1e-3),
            _share(f, "peak_fraction"),
            _number(f, "useful_flops_per_second", 1e12),
            str(f["accumulate"]),
        ]
        for name, f in _of_kind(records, "step-")
    ]
    head = ["step", "network, images x views", "images/s", "ms", "share of the product"]
    return _table([*head, "useful TFLOP/s", "chunks"], rows)


def _views(figures: dict[str, Any]) -> str:
    return " + ".join(f"{count} x {side} px" for count, side in figures["views"])


def compiling(records: _Records) -> list[str]:
    """Seconds before the first step, cold and with the cache."""
    rows = [
        [
            name,
            _number(f, "tracing_seconds"),
            _number(f, "compile_seconds"),
            _number(f, "cached_tracing_seconds"),
            _number(f, "cached_compile_seconds"),
            "yes" if f.get("cached_from_cache") else "no",
        ]
        for name, f in _of_kind(records, "step-", "memory-")
    ]
    head = ["step", "tracing, s", "compiling, s", "tracing again, s"]
    return _table([*head, "from the cache, s", "was cached"], rows)


def memory(records: _Records) -> list[str]:
    """Memory by arithmetic, by the program, and the most that was held."""
    rows = [
        [
            name,
            _least(records, name),
            _number(f, "program_bytes", 1e9),
            _number(f, "peak_memory_bytes", 1e9),
            f["peak_memory_of"],
            _number(f, "compiled_peak_bytes", 1e9),
        ]
        for name, f in _of_kind(records, "step-", "memory-", "scaling-")
    ]
    head = ["step", "by arithmetic, GB", "by the program, GB", "held at most, GB"]
    return _table([*head, "by", "after compiling, GB"], rows)


def trades(records: _Records) -> list[str]:
    """What accumulation and remat cost, beside the plain step."""
    if _BASE not in records:
        return []
    base = records[_BASE]["figures"]
    rows = [
        [
            name.removeprefix("memory-"),
            f"{f['step_seconds'] / base['step_seconds']:.2f}",
            "1.33",
            f"{f['temporary_bytes'] / base['temporary_bytes']:.2f}",
            f"{f['peak_memory_bytes'] / base['peak_memory_bytes']:.2f}",
        ]
        for name, f in _of_kind(records, "memory-")
        if "temporary_bytes" in f
    ]
    head = ["way", "time, measured", "predicted", "temporaries, program"]
    return _table([*head, "held at most"], rows)


def loops(records: _Records) -> list[str]:
    """The loop with the loader beside the bare step."""
    rows = [
        [
            name.removeprefix("loop-"),
            _rate(f, "images_per_second"),
            _rate(f, "loop_images_per_second"),
            _rate(f, "loop_over_step"),
        ]
        for name, f in _of_kind(records, "loop-")
    ]
    return _table(["run", "step, images/s", "loop, images/s", "loop / step"], rows)


def scaling(records: _Records) -> list[str]:
    """Rates on several devices."""
    if _BASE not in records:
        return []
    one = records[_BASE]["figures"]["images_per_second"]
    rows = [
        [
            str(f["devices"]),
            _rate(f, "images_per_second"),
            f"{f['images_per_second'] / one / f['devices']:.1%}",
        ]
        for _, f in _of_kind(records, "scaling-")
    ]
    return _table(["devices", "images/s", "of as many times one device"], rows)


def all_reduces(records: _Records) -> list[str]:
    """Times of all-reduces."""
    rows = [
        [
            str(f["devices"]),
            f"{f[f'{size}_bytes']:,}",
            _rate(f, f"{size}_seconds", 1e-6),
            _number(f, f"{size}_bytes_per_second", 1e9),
        ]
        for _, f in _of_kind(records, "collectives")
        for size in ("small", "large")
    ]
    return _table(["devices", "bytes", "microseconds", "GB/s on each link"], rows)


def lowerings(records: _Records) -> list[str]:
    """Each operation with its gradients, in each way."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for _, figures in _of_kind(records, "lowerings"):
        for row in figures["rows"]:
            keys = ("operation", "side", "channels", "groups", "dtype")
            shown = row.get("failed") or _rate(row, "seconds", 1e-3)
            found.setdefault(tuple(str(row[k]) for k in keys), {})[row["way"]] = shown
    ways = list(dict.fromkeys(way for each in found.values() for way in each))
    rows = [[*keys, *(each.get(w, "-") for w in ways)] for keys, each in found.items()]
    head = ["operation", "pixels", "channels", "groups", "type"]
    return _table([*head, *(f"{way}, ms" for way in ways)], rows)


def torch(records: _Records) -> list[str]:
    """PyTorch beside ours."""
    rows = [
        [
            name.removeprefix("torch-"),
            job,
            _rate(f, f"{job}_images_per_second"),
            _rate(f, f"torch_{job}_images_per_second"),
            _rate(f, f"{job}_over_torch"),
            _share(f, f"{job}_peak_fraction"),
            _share(f, f"torch_{job}_peak_fraction"),
        ]
        for name, f in _of_kind(records, "torch-")
        for job in ("train", "predict")
    ]
    head = ["part", "job", "bmjax, images/s", "PyTorch, images/s", "ratio"]
    return _table([*head, "share of the product", "PyTorch's"], rows)


def _least(records: _Records, name: str) -> str:
    """Memory by arithmetic, GB."""
    found, _ = predict(records, name)
    return f"{found.memory / 1e9:.3g}" if found else "-"


def predictions(records: _Records) -> list[str]:
    """docs/scaling.md's bounds beside what was measured."""
    rows = []
    for name, f in _of_kind(records, "step-", "scaling-"):
        found, on = predict(records, name)
        if found and on:
            rows.append(
                [
                    name,
                    on,
                    f"{found.seconds * 1e3:.3g}",
                    _number(f, "step_seconds", 1e-3),
                    f"{found.seconds / f['step_seconds']:.1%}",
                    f"{found.memory / 1e9:.3g}",
                    _number(f, "peak_memory_bytes", 1e9),
                ]
            )
    head = ["step", "bound of", "bound, ms", "measured, ms", "of the bound"]
    return _table([*head, "least memory, GB", "held at most, GB"], rows)


_Table = Callable[[_Records], list[str]]
PAGE_TABLES: tuple[tuple[str, str, _Table], ...] = (
    (
        "Checks",
        "Differences as shares of the largest value, or of a vector's length.",
        checks,
    ),
    ("Matrix products", "Of two square matrices of random numbers.", products),
    (
        "Steps",
        "The compiled train step on one batch that stays on the device. The share is "
        "of a large matrix product at the same precision, in turns with the step.",
        steps,
    ),
    ("Compiling", "In an empty cache, and again with it.", compiling),
    (
        "Memory on each device",
        "By docs/scaling.md's arithmetic, which is the least; by the compiled program "
        "(arguments, temporaries, results); and the most that was held.",
        memory,
    ),
    (
        "Time for memory",
        f"As multiples of {_BASE}. Both ways compute the forward pass once more.",
        trades,
    ),
    ("The loop", "With decoding and transfer, on synthetic cells.", loops),
    ("Several devices", f"The same batch dealt out, beside {_BASE}.", scaling),
    ("All-reduces", "", all_reduces),
    (
        "Lowerings",
        "Milliseconds of an operation with its gradients.",
        lowerings,
    ),
    (
        "PyTorch",
        "Without augmentation on either side, turn by turn; channels last, bfloat16 by "
        "automatic mixed precision.",
        torch,
    ),
    ("Predictions", "docs/scaling.md's bounds, from data sheets.", predictions),
)
