"""How often a count's intervals hold the true shares, by simulation.

    python -m experiments.count_coverage [--cases=2000]

For each setting, shares and a confusion are fixed; for each of the cases, 500 cells and
the validation cells are drawn anew. Writes coverage.json and RESULT.md into
experiments/2026-11-26-count-coverage (or --out=FOLDER).
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from bmjax.count.corrected import mean_and_interval, posterior_shares
from bmjax.evals.intervals import clopper_pearson
from bmjax.files import write_json, write_whole

_FOLDER = Path(__file__).parent / "2026-11-26-count-coverage"
_CELLS = 500
_AT_ONCE = 100  # cases


def _even(accuracy: float, classes: int) -> np.ndarray:
    wrong = (1 - accuracy) / (classes - 1)
    return np.full((classes, classes), wrong) + (accuracy - wrong) * np.eye(classes)


# Name: true shares, true confusion, validation cells of each class.
SETTINGS: dict[str, tuple[list[float], np.ndarray, int]] = {
    "good": ([0.5, 0.3, 0.2], _even(0.95, 3), 300),
    "middling, 2 % rare": ([0.5, 0.25, 0.15, 0.08, 0.02], _even(0.85, 5), 100),
    "poor, 0.5 % rare": ([0.6, 0.2, 0.12, 0.075, 0.005], _even(0.7, 5), 60),
    "19 % blasts": (
        [0.19, 0.4, 0.25, 0.16],
        np.array(
            [
                [0.8, 0.15, 0, 0.05],
                [0.05, 0.93, 0.01, 0.01],
                [0.01, 0.01, 0.97, 0.01],
                [0.06, 0.02, 0.02, 0.9],
            ]
        ),
        80,
    ),
    "nine classes": (
        [0.3, 0.2, 0.15, 0.12, 0.1, 0.06, 0.04, 0.02, 0.01],
        _even(0.85, 9),
        60,
    ),
}


def measure_coverage(name: str, cases: int) -> dict[str, Any]:
    """Coverage and width of both intervals in one setting."""
    shares, confusion, validated = SETTINGS[name]
    truth = np.array(shares)
    random = np.random.default_rng(1)
    covered, named_covered, width, error = [], [], [], []
    for start in range(0, cases, _AT_ONCE):
        named = random.multinomial(_CELLS, truth @ confusion, size=_AT_ONCE)
        found = np.stack(
            [random.multinomial(validated, row, size=_AT_ONCE) for row in confusion],
            axis=1,
        )
        draws = posterior_shares(named, found, seed=start, chains=10)
        mean, low, high = mean_and_interval(draws)
        covered.append((low <= truth) & (truth <= high))
        width.append(high - low)
        error.append(mean - truth)
        low, high = clopper_pearson(named, np.full_like(named, _CELLS), level=0.95)
        named_covered.append((low <= truth) & (truth <= high))
    by_class = np.concatenate(covered).mean(axis=0)
    return {
        "setting": name,
        "cases": cases,
        "shares": shares,
        "validation_cells": validated,
        "coverage": by_class.tolist(),
        "coverage_as_named": np.concatenate(named_covered).mean(axis=0).tolist(),
        "mean_width": np.concatenate(width).mean(axis=0).tolist(),
        "mean_error": np.concatenate(error).mean(axis=0).tolist(),
    }


def main() -> None:
    """Measure every setting and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=_FOLDER)
    options = parser.parse_args()
    measured = [measure_coverage(name, options.cases) for name in SETTINGS]
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "coverage.json", measured)
    rows = [
        "| setting | classes | corrected, all | lowest class | highest | as named, all "
        "| lowest class |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in measured:
        held, named = (
            100 * np.array(one[key]) for key in ("coverage", "coverage_as_named")
        )
        rows.append(
            f"| {one['setting']} | {len(held)} | {held.mean():.1f} | {held.min():.1f} "
            f"| {held.max():.1f} | {named.mean():.1f} | {named.min():.1f} |"
        )
    text = "\n".join(
        [
            "# Coverage of a count's intervals, in per cent; nominal are 95",
            "",
            f"`python -m experiments.count_coverage --cases={options.cases}`",
            "",
            *rows,
        ]
    )
    write_whole(options.out / "RESULT.md", text + "\n")


if __name__ == "__main__":
    main()
