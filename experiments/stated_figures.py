"""Small figures that the documents state and no other experiment has.

    python -m experiments.stated_figures --data=FOLDER [--out=FOLDER]

Nothing is timed and nothing is trained, so that the figures are the same each time with
the same versions. Writes stated.json and RESULT.md into
experiments/2026-11-27-stated-figures. Some minutes on two CPU cores.
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bmjax.benchmark.measure import of_program
from bmjax.benchmark.stand_in import build_to_measure
from bmjax.data.channel_stats import scan_images
from bmjax.data.images.catalog import Catalog
from bmjax.data.images.decode import decode
from bmjax.data.open_images import read_catalog
from bmjax.data.splits.make_split import make_split
from bmjax.devices.jax_setup import versions
from bmjax.evals.dinobloom_protocol import fit_dinobloom_logistic
from bmjax.evals.linear_probe import apply_linear
from bmjax.evals.method_agreement import passing_bablok
from bmjax.files import write_json, write_whole
from bmjax.report.table_formats import Table, markdown_table
from bmjax.run.build import batch_shapes
from bmjax.run.command_line import load_config
from bmjax.run.compile import compile_step
from bmjax.run.start import find_start
from configs import common

_ROOT = Path(__file__).parents[1]
OUT = Path(__file__).parent / "2026-11-27-stated-figures"
_SIDE = 8  # pixels of an image of the readout
_ITERATIONS, _TOLERANCE = 1000, 1e-4  # DinoBloom's of scikit-learn's solver
_IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])


def moments_apart(catalog: Catalog) -> dict[str, Any]:
    """How far the moments of images lie from those of weights."""
    moments = np.array(scan_images(catalog).moments)
    given = {"imagenet": _IMAGENET, "release": np.array([common.MEAN, common.STD])}
    return {"images": len(catalog), "moments": moments.tolist()} | {
        name: {
            "shift": (np.abs(moments[0] - mean) / std).tolist(),
            "factor": np.maximum(moments[1] / std, std / moments[1]).tolist(),
        }
        for name, (mean, std) in given.items()
    }


def readouts(catalog: Catalog) -> dict[str, Any]:
    """DinoBloom's regression of small pictures, by scikit-learn and by bmjax."""
    from sklearn.linear_model import LogisticRegression

    features = np.stack(
        [
            decode(catalog.encoded(n), size=_SIDE, name="").ravel() / np.float32(255)
            for n in range(len(catalog))
        ]
    )
    split = make_split(catalog, name="holdout", fold=0, seed=42)
    labels = np.asarray(catalog.labels)
    classes, width = len(catalog.classes), features.shape[1]
    train, test = features[split.train], features[split.test]
    known, wanted = labels[split.train], labels[split.test]

    strength = width * classes / 100
    theirs = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=_TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged is the point
        theirs.fit(train, known)
    weights = np.vstack([theirs.coef_.T, theirs.intercept_])
    ours = fit_dinobloom_logistic(
        train, known, classes=classes, gradient=1e-5, iterations=5000
    )
    return {
        "numbers": width,
        "classes": classes,
        "train": len(train),
        "scikit-learn": {
            "iterations": int(theirs.n_iter_.max()),
            "gradient": _gradient(weights, train, known, strength)
            / _gradient(np.zeros_like(weights), train, known, strength),
            "correct": float((theirs.predict(test) == wanted).mean()),
        },
        "bmjax": {
            "iterations": ours.iterations,
            "converged": ours.converged,
            "gradient": ours.gradient,
            "correct": float(
                (apply_linear(ours.linear, test).argmax(axis=1) == wanted).mean()
            ),
        },
    }


def _gradient(
    weights: np.ndarray, features: np.ndarray, labels: np.ndarray, strength: float
) -> float:
    """Length of the gradient of the mean cross-entropy with its penalty."""
    ones = np.ones((len(features), 1))
    rows = np.hstack([features.astype(np.float64), ones])
    logits = rows @ weights
    errors = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors /= errors.sum(axis=1, keepdims=True)
    errors[np.arange(len(labels)), labels] -= 1
    slope = rows.T @ errors
    slope[:-1] += weights[:-1] / strength
    return float(np.linalg.norm(slope) / len(labels))


def line_coverage(cases: int, *, comparisons: int = 1000) -> dict[str, Any]:
    """How often the intervals of Passing and Bablok's line hold the true line.

    Two readers of the same cases: true shares are even from 5 to 60 %, and both err
    normally by 2 points, so that the true line has the slope 1 and the intercept 0.
    """
    random = np.random.default_rng(1)
    slopes, intercepts = [], []
    for _ in range(comparisons):
        truth = random.uniform(5, 60, cases)
        line = passing_bablok(*(truth + random.normal(0, 2, (2, cases))))
        assert line is not None
        slopes.append(line.slope_interval[0] <= 1 <= line.slope_interval[1])
        intercepts.append(line.intercept_interval[0] <= 0 <= line.intercept_interval[1])
    return {
        "cases": cases,
        "comparisons": comparisons,
        "slope": float(np.mean(slopes)),
        "intercept": float(np.mean(intercepts)),
    }


def step_memory(variant: str) -> dict[str, Any]:
    """What a step of `configs/dinobloom.py:VARIANT` holds, by its compiled program."""
    config = load_config(_ROOT / "configs" / "dinobloom.py", variant)
    config.data.batch_size = 16
    config.mesh.devices = 1
    with tempfile.TemporaryDirectory() as scratch:
        run = build_to_measure(config, Path(scratch), with_images=False)
        state = find_start(run, Path(scratch) / "checkpoints").state
        shapes = batch_shapes(run.settings.data, run.mesh)
        program = of_program(run, compile_step(run.learner, state, shapes, run.mesh))
    leaves = jax.tree.leaves(state.opt)
    return {
        "optimizer_bytes": sum(leaf.nbytes for leaf in leaves),
        "temporary_bytes": program["temporary_bytes"],
    }


def stated_page(found: dict[str, Any]) -> str:
    """RESULT.md: each figure, and the document that states it."""
    rows: list[tuple[str, str, str]] = []
    for name in ("imagenet", "release"):
        for key in ("shift", "factor"):
            text = ", ".join(f"{value:.2f}" for value in found["moments"][name][key])
            rows.append(("models.md", f"moments from {name}'s: {key}", text))
    for name in ("scikit-learn", "bmjax"):
        fit = found["readout"][name]
        text = f"{fit['gradient']:.1e} after {fit['iterations']:,} iterations"
        rows.append(("models.md", f"readout by {name}: gradient", text))
        rows.append(
            ("models.md", f"readout by {name}: correct", f"{fit['correct']:.3f}")
        )
    for variant, of in found["step"].items():
        for key, value in of.items():
            text = f"{value / 1e6:,.1f} MB"
            rows.append(("models.md", f":{variant}, {key.partition('_')[0]}", text))
    for line in found["lines"]:
        for key in ("intercept", "slope"):
            what = f"intervals of the {key}, {line['cases']} cases: coverage"
            rows.append(("count.md", what, f"{100 * line[key]:.1f} %"))
    columns = ("document", "what", "figure")
    table = markdown_table(Table("Figures", (), columns, tuple(rows), ()))
    return (
        "# Small figures that the documents state\n\n"
        f"Written by `python -m experiments.stated_figures`.\n\n{table}\n"
    )


def main() -> None:
    """Work all of them out and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of real cells")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    catalog = read_catalog(options.data)
    found = {
        "versions": versions(),
        "moments": moments_apart(catalog),
        "readout": readouts(catalog),
        "lines": [line_coverage(cases) for cases in (40, 10)],
        "step": {name: step_memory(name) for name in ("lora", "finetune")},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "stated.json", found)
    write_whole(options.out / "RESULT.md", stated_page(found))


if __name__ == "__main__":
    main()
