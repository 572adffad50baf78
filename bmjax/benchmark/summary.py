"""Figures of several turns."""

import statistics


def summarize(name: str, values: list[float]) -> dict[str, float]:
    """Median, and spread: (largest - smallest) / median."""
    middle = statistics.median(values)
    return {name: middle, f"{name}_spread": (max(values) - min(values)) / middle}
