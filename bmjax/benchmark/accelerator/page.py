"""The page of figures, in Markdown, from whatever parts have left."""

from collections.abc import Sequence
from typing import Any

from bmjax.benchmark.accelerator.page_tables import PAGE_TABLES, cell
from bmjax.benchmark.accelerator.plan import Part

_Records = dict[str, dict[str, Any] | None]


def render_page(
    machine: dict[str, Any], records: _Records, parts: Sequence[Part], command: str
) -> str:
    """The whole page.

    Args:
        machine: the record of the part "machine".
        records: of every part by name, None where nothing is kept.
        parts: in their order.
        command: that was given.
    """
    lines = ["# An accelerator's first hour", "", *_about(machine, command), ""]
    ended = [(part, records.get(part.name)) for part in parts]
    lines += [_summary(ended), ""]
    for title, text, table in PAGE_TABLES:
        rows = table({p.name: r for p, r in ended if r and "figures" in r})
        if rows:
            lines += [f"## {title}", "", text, "", *rows, ""]
    lines += _missing(ended)
    return "\n".join(lines).rstrip() + "\n"


def _about(machine: dict[str, Any], command: str) -> list[str]:
    figures, known = machine["figures"], machine.get("versions", {})
    memory = figures.get("memory_bytes")
    return [
        f"* Devices: {figures['devices']} x {figures['device_kind']} "
        f"({figures['platform']})"
        + (f", {memory / 1e9:.1f} GB for jax on each" if memory else ""),
        f"* Driver: {figures.get('driver') or 'not told'}; "
        f"{figures.get('processors')} processors; {figures.get('system')}",
        "* Versions: " + ", ".join(f"{name} {which}" for name, which in known.items()),
        f"* Command: `{command}` (scale {machine['scale']}), {machine['time']}",
        "",
        "Rates are medians over turns; in brackets the spread, (largest - smallest) / "
        "median. accelerator.json beside this page has every figure.",
    ]


def _summary(ended: Sequence[tuple[Part, dict[str, Any] | None]]) -> str:
    records = [record for _, record in ended if record]
    checks = [
        each
        for record in records
        for each in record.get("figures", {}).get("checks", ())
    ]
    broken = sum(not each["holds"] for each in checks)
    failed = sum("failed" in record for record in records)
    return (
        f"{len(checks) - broken} of {len(checks)} checks hold. "
        f"{sum('figures' in record for record in records)} of {len(ended)} parts "
        f"were measured, {failed} failed."
    )


def _missing(ended: Sequence[tuple[Part, dict[str, Any] | None]]) -> list[str]:
    """What has no figures, and why."""
    rows = []
    for part, record in ended:
        if record is None:
            rows.append(f"| {part.name} | not run |")
        elif "failed" in record:
            rows.append(f"| {part.name} | failed: {cell(record['failed'])} |")
        elif "not_run" in record:
            rows.append(f"| {part.name} | not run: {cell(record['not_run'])} |")
    if not rows:
        return []
    return ["## Without figures", "", "| part | why |", "| --- | --- |", *rows, ""]
