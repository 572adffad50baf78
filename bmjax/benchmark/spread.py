"""Figures of several turns."""

import statistics

# Spread of the turns from which a machine was not quiet (ours): a tenth to either side.
NOISY = 0.2


def summarize(name: str, values: list[float]) -> dict[str, float]:
    """Median, and spread: (largest - smallest) / median."""
    middle = statistics.median(values)
    return {name: middle, f"{name}_spread": (max(values) - min(values)) / middle}


def widest_rate(figures: dict) -> tuple[str, float]:
    """The rate among some figures whose turns lie farthest apart, and how far."""
    ending = "_per_second_spread"
    spreads = {k: v for k, v in figures.items() if k.endswith(ending)}
    if not spreads:
        return "", 0.0
    name = max(spreads, key=spreads.__getitem__)
    return name.removesuffix("_spread"), spreads[name]
