"""docs/scaling.md's arithmetic for the steps that are measured."""

from pathlib import Path
from typing import Any

from bmjax.benchmark.scaling import ACCELERATORS, Accelerator, Estimate, Work, estimate

PART = "predictions"
_ITEMSIZE = {"bfloat16": 2, "tensorfloat32": 4, "float32": 4}
_UNITS = {"tensorfloat32": "TF32"}


def count_work(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """What the step of each residual network's configuration does, from shapes."""
    del scratch
    from bmjax.benchmark.accelerator.configuration import part_config
    from bmjax.benchmark.scaling import work_of

    works = {}
    for name in task["options"]["configs"]:
        options = {"config": name, "precision": "float32"}
        config = part_config(task | {"options": options})
        works[name] = work_of(config)._asdict()
    return {"works": works}


def predict(
    records: dict[str, dict[str, Any]], name: str
) -> tuple[Estimate | None, str]:
    """A step's least time and memory, and the accelerator that it holds for.

    Args:
        records: of the parts that have figures.
        name: of the step's part.

    Returns:
        None where the work is not counted or the step is no residual network's. The
        accelerator is "" where docs/scaling.md does not know the device at this
        precision: then the memory alone means something.
    """
    options, figures = records[name]["options"], records[name]["figures"]
    works = records.get(PART, {}).get("figures", {}).get("works", {})
    if options["config"] not in works:
        return None, ""
    counted = works[options["config"]]
    work = Work(**counted)._replace(
        operations=[tuple(map(tuple, each)) for each in counted["operations"]],
    )
    precision = options["precision"]
    on = known_accelerator(figures["device_kind"], precision)
    itemsize = _ITEMSIZE[precision]
    anywhere = next(each for each in ACCELERATORS if each.itemsize == itemsize)
    found = estimate(work, on or anywhere, figures["devices"])
    # In chunks, only one of them is kept for the backward pass at a time.
    in_chunks = work._replace(normalized=work.normalized / figures["accumulate"])
    memory = estimate(in_chunks, on or anywhere, figures["devices"]).memory
    return found._replace(memory=memory), f"{on.name}, {on.units}" if on else ""


def known_accelerator(kind: str, precision: str) -> Accelerator | None:
    """The line of docs/scaling.md for a device and a precision; None: it has none."""
    units = _UNITS.get(precision, precision)
    known = [on for on in ACCELERATORS if on.name in kind and on.units == units]
    return known[0] if known else None
